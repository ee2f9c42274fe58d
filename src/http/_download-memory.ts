import { KiB, MiB } from '../base/units.ts'

/** Of a buffer; measured: smaller ones cost more calls, larger ones only memory. */
export const LARGEST_BUFFER = 512 * KiB
const SMALLEST_BUFFER = 16 * KiB
const BUFFERS = 4
/** What the first downloads take altogether; those that come on top of them get what is left between them. */
const PLENTY = 64 * MiB

/**
 * Shares memory between downloads: a few clients get large buffers; thousands of them, each of which may be as slow as
 * it likes, get small ones.
 */
export class DownloadMemory {
  #taken = 0

  /** Takes a share until it is disposed; `buffer`: bytes of each of its four buffers. */
  take(): { readonly buffer: number } & Disposable {
    this.#taken += 1
    const share = PLENTY / BUFFERS / this.#taken
    let buffer = LARGEST_BUFFER
    while (buffer > share && buffer > SMALLEST_BUFFER) buffer /= 2
    return {
      buffer,
      [Symbol.dispose]: () => {
        this.#taken -= 1
      },
    }
  }
}
