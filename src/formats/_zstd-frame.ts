/**
 * The length of the zstd frame that these bytes begin with, or undefined if they hold no whole one.
 * Node's decoder goes on into whatever follows a frame, and in a qcow2 file the next frame follows.
 * Source: RFC 8878, 3.1.1.
 *
 * | size         | field                                                                     |
 * | ------------ | ------------------------------------------------------------------------- |
 * | 4            | magic 28 b5 2f fd                                                         |
 * | 1            | descriptor: bits 0-1 dictionary id, 2 check sum, 5 single segment, 6-7 content size |
 * | 0 or 1       | window, unless single segment                                             |
 * | 0 to 4       | dictionary id                                                             |
 * | 0 to 8       | content size                                                              |
 * | 3 + size ... | blocks: bit 0 last, bits 1-2 type, bits 3-23 size                         |
 * | 0 or 4       | check sum                                                                 |
 */
export function zstdFrameLength(bytes: Uint8Array): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < 9 || view.getUint32(0, true) !== 0xfd2fb528) return undefined
  const descriptor = view.getUint8(4)
  const single = (descriptor & 0x20) !== 0
  const dictionary = [0, 1, 2, 4][descriptor & 3] ?? 0
  const contentSize = [single ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0
  let at = 5 + (single ? 0 : 1) + dictionary + contentSize
  for (;;) {
    if (at + 3 > bytes.length) return undefined
    const block = view.getUint16(at, true) | (view.getUint8(at + 2) << 16)
    const repeated = ((block >> 1) & 3) === 1
    at += 3 + (repeated ? 1 : block >> 3)
    if ((block & 1) === 1) break
  }
  const end = at + ((descriptor & 4) === 0 ? 0 : 4)
  return end <= bytes.length ? end : undefined
}
