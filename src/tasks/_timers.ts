/** A clock that only goes forward, and its alarms: what a lease is reckoned by, since the time of day may be set. */
export interface Timers {
  /** Milliseconds since whenever. */
  readonly now: () => number
  /** Calls `work` later, unless what it gave is called before. Keeps no process alive. */
  after(ms: number, work: () => void): () => void
}

export const realTimers: Timers = {
  now: () => performance.now(),
  after(ms, work) {
    const timer = setTimeout(work, ms)
    timer.unref()
    return () => clearTimeout(timer)
  },
}
