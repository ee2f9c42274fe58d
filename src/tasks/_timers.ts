/** A clock that only goes forward, and its alarms: what a lease is reckoned by, since the time of day may be set. */
export interface Timers {
  /** Milliseconds since whenever. */
  readonly now: () => number
  /** Calls `work` later, unless what it gave is called before. It keeps no process alive unless told to. */
  after(ms: number, work: () => void, options?: { readonly keepsAlive?: boolean }): () => void
}

export const realTimers: Timers = {
  now: () => performance.now(),
  after(ms, work, { keepsAlive = false } = {}) {
    const timer = setTimeout(work, ms)
    if (!keepsAlive) timer.unref()
    return () => clearTimeout(timer)
  },
}
