import { Type } from '../../schema/type.ts'
import type { ByteStep } from '../step.ts'

/** Unpacks gzip, zstd, xz, bzip2, and zip with one member, while the data arrives. */
export const decompress: ByteStep<unknown> = {
  on: 'bytes',
  name: 'decompress',
  summary: 'unpacks compressed data while it arrives',
  options: Type.Object({}),
  wish: () => ({ decompress: true }),
}
