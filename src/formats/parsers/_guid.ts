import type { Fields } from '../../bytes/fields.ts'

/** A GUID as people write it: the first three of its five numbers are little-endian. */
export function guidAt(fields: Fields, at: number): string {
  const hex = (offset: number, length: number) =>
    Buffer.from(fields.slice(at + offset, length)).toString('hex')
  const swapped = (offset: number, length: number) =>
    Buffer.from(fields.slice(at + offset, length))
      .reverse()
      .toString('hex')
  return [swapped(0, 4), swapped(4, 2), swapped(6, 2), hex(8, 2), hex(10, 6)].join('-')
}
