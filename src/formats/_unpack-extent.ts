import { promisify } from 'node:util'
import { inflate, inflateRaw, zstdDecompress } from 'node:zlib'
import { Failure, messageOf } from '../base/failure.ts'
import type { Packing } from './parser.ts'
import { zstdFrameLength } from './_zstd-frame.ts'

const UNPACKERS = {
  deflate: promisify(inflateRaw),
  zlib: promisify(inflate),
  zstd: promisify(zstdDecompress),
}

/** A compressed part of a guest's disk. */
export interface Packed {
  readonly kind: Packing
  /** Bytes it must give, exactly. */
  readonly length: number
  /** More than that, if it may give more, which is dropped. */
  readonly room?: number
  /** Where it stands in the file, for failures. */
  readonly host: number
}

/**
 * What a payload gives, which must be exactly `length` bytes (or up to `room`); bytes behind its end are ignored. The
 * work is done in the thread pool. Fails with IMAGE_UNSAFE.
 */
export async function unpackExtent(
  payload: Uint8Array,
  { kind, length, host, room = length }: Packed,
): Promise<Uint8Array> {
  try {
    // Zstd's decoder would go on into the next frame. And one byte more of room tells zlib that it
    // is done without a second call.
    const frame = kind === 'zstd' ? payload.subarray(0, zstdFrameLength(payload) ?? 0) : payload
    const window = kind === 'deflate' ? { windowBits: 12 } : {}
    const bytes = await UNPACKERS[kind](frame, {
      ...window,
      maxOutputLength: room,
      chunkSize: Math.max(room + 1, 64),
    })
    if (bytes.length >= length) return bytes.subarray(0, length)
    throw new Error(`it gives ${bytes.length} bytes instead of ${length}`)
  } catch (error) {
    throw new Failure(
      'IMAGE_UNSAFE',
      `byte ${host}: a compressed cluster is damaged: ${messageOf(error)}`,
      { details: { offset: host }, cause: error },
    )
  }
}
