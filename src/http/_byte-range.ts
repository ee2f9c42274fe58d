/** What part of a content a request wants. */
export type Wanted =
  | { readonly kind: 'whole' }
  | { readonly kind: 'part'; readonly from: number; readonly to: number }
  | { readonly kind: 'impossible' }

const WHOLE: Wanted = { kind: 'whole' }

/**
 * A Range header for content of `length` bytes; `to` is not included. What is no single range of bytes
 * (another unit, several ranges, nonsense) means the whole: a server may ignore the header, and a
 * client that asks for several parts gets them all the same.
 * Source: RFC 9110, section 14.2.
 */
export function parseRange(header: string | undefined, length: number): Wanted {
  const match = /^bytes=\s*(\d*)-(\d*)\s*$/i.exec(header ?? '')
  const [, first = '', last = ''] = match ?? []
  if (first === '' && last === '') return WHOLE
  if (first === '') {
    const count = Math.min(Number(last), length) // the last so many bytes
    return count === 0 ? { kind: 'impossible' } : { kind: 'part', from: length - count, to: length }
  }
  const from = Number(first)
  if (last !== '' && Number(last) < from) return WHOLE
  if (from >= length) return { kind: 'impossible' }
  return { kind: 'part', from, to: last === '' ? length : Math.min(Number(last) + 1, length) }
}
