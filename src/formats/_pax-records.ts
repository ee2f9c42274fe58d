/**
 * Records of extended tar headers: `30 mtime=1690000000.5\n`, the number being the length of the whole
 * record in bytes. Values may be any bytes. Source: POSIX, pax, "pax Extended Header".
 */

/** By name; undefined where the bytes are no records. */
export function parsePaxRecords(bytes: Buffer): Map<string, Buffer> | undefined {
  const records = new Map<string, Buffer>()
  for (let at = 0; at < bytes.length;) {
    const digits = /^([1-9]\d{0,8}) /.exec(bytes.toString('latin1', at, at + 10))?.[1]
    if (digits === undefined) return undefined
    const end = at + Number(digits)
    const equals = bytes.indexOf('=', at + digits.length + 1)
    if (end > bytes.length || equals < 0 || equals >= end || bytes[end - 1] !== 0x0a)
      return undefined
    const key = bytes.toString('latin1', at + digits.length + 1, equals)
    records.set(key, bytes.subarray(equals + 1, end - 1))
    at = end
  }
  return records
}

/** In the order given. */
export function writePaxRecords(records: readonly (readonly [string, Uint8Array])[]): Buffer {
  return Buffer.concat(
    records.flatMap(([key, value]) => {
      const rest = key.length + value.length + 3 // a blank, `=` and the line's end
      let length = rest
      while (length !== rest + String(length).length) length = rest + String(length).length
      return [Buffer.from(`${length} ${key}=`, 'latin1'), value, Buffer.from('\n')]
    }),
  )
}
