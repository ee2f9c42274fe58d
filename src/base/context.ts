/**
 * What every operation is given by its caller: where to log, the time, new names, when to stop,
 * and where to tell how far it is. Nothing below `app` reaches for any of these by itself.
 */
import { randomUUID } from 'node:crypto'
import { type Log, silentLog } from './log.ts'

/**
 * One piece of progress. The terminal draws it, `--json` prints it as a line. `on` is the host it is
 * about, where there are several.
 */
export type ProgressEvent = { on?: string } &
  /** A phase of the whole job begins ("copy", "recipe", "clean"). */
  (
    | { kind: 'phase'; name: string; detail?: string }
    /** A step of a recipe begins. `index` counts from 1. */
    | { kind: 'step'; id: string; title: string; index?: number; total?: number }
    /** A step ended. */
    | { kind: 'step-end'; id: string; title: string; status: string; durationMs: number }
    /** A line that a running command printed. */
    | { kind: 'output'; line: string }
    /** Bytes moved so far. */
    | { kind: 'bytes'; name: string; done: number; total?: number }
  )

export interface Context {
  readonly log: Log
  readonly now: () => Date
  readonly newId: () => string
  readonly signal: AbortSignal
  readonly progress: (event: ProgressEvent) => void
}

/** A context with the real clock and random names; silent unless told otherwise. */
export function makeContext(parts: Partial<Context> = {}): Context {
  return {
    log: parts.log ?? silentLog,
    now: parts.now ?? (() => new Date()),
    newId: parts.newId ?? randomUUID,
    signal: parts.signal ?? new AbortController().signal,
    progress: parts.progress ?? (() => {}),
  }
}
