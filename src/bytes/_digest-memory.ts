/** What a ring of blocks shares with the threads that digest it. */
export interface DigestMemory {
  /** Blocks that were filled since the beginning, and those that each thread is done with. */
  readonly control: Int32Array
  /** Of each block: bytes in it; negative: so many zeros, of which nothing stands there; 0: nothing follows. */
  readonly lengths: Float64Array
  readonly data: Uint8Array<SharedArrayBuffer>
  /** Bytes of a block. */
  readonly block: number
}

/** Index in `control`; thread `n` of a ring counts at `DONE + n`. */
export const FILLED = 0
export const DONE = 1

/** What a thread is told. */
export type DigestOrder =
  | {
      readonly kind: 'begin'
      readonly id: number
      readonly algorithm: string
      readonly memory: DigestMemory
      /** Index in `control`. */
      readonly done: number
    }
  | { readonly kind: 'drop'; readonly id: number }

export interface DigestAnswer {
  readonly id: number
  readonly digest?: string
  /** Why there is none. */
  readonly error?: string
}

export interface DigestThreadData {
  /** Changes whenever there is something to look at. */
  readonly bell: Int32Array
  readonly port: import('node:worker_threads').MessagePort
}
