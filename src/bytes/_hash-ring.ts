import { MiB } from '../base/units.ts'

/** Memory that two threads share: slots that one fills and the other digests, in turn. */
export interface Ring {
  readonly algorithm: string
  /** Slots that were filled, and slots that were digested, since the beginning. */
  readonly control: Int32Array
  /** Bytes in each slot. An empty one says that nothing follows. */
  readonly lengths: Int32Array
  readonly data: Uint8Array
}

export const PRODUCED = 0
export const CONSUMED = 1
/** Measured: with smaller ones waking the other thread costs more than what it is woken for. */
export const SLOT = 2 * MiB
export const SLOTS = 8

export function makeRing(algorithm: string): Ring {
  return {
    algorithm,
    control: new Int32Array(new SharedArrayBuffer(8)),
    lengths: new Int32Array(new SharedArrayBuffer(SLOTS * 4)),
    data: new Uint8Array(new SharedArrayBuffer(SLOTS * SLOT)),
  }
}
