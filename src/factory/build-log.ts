/**
 * What a build tells while it runs, kept in the database: events in words, the guest's console, output of commands.
 * `job.log` writes it, `Factory.readLog` and `follow` read it, from any server.
 */
export type LogKind = 'event' | 'console' | 'output'

export interface LogEntry {
  /** Counts from 1 within an image; where a reader goes on. */
  readonly sequence: number
  readonly at: Date
  readonly kind: LogKind
  /** One line of an event; a piece of console or output as it came, control characters and all. */
  readonly text: string
}

/** Written in pieces, soon, not at once; secrets of the job are masked. Bounded: of what is too much the middle is lost. */
export interface BuildLog {
  event(text: string): void
  console(piece: Uint8Array | string): void
  output(piece: string): void
}
