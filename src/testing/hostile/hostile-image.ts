/**
 * Images that must be refused, made by code: a good image that `qemu-img` wrote, and one lie in it.
 * Each says which findings tell the lie; an inspection passes when it refuses with one of these.
 */
import type { FindingCode } from '../../formats/finding.ts'

export interface HostileImage {
  /** The group it belongs to, and what is wrong with it: `qcow2: an L2 table past the end`. */
  readonly name: string
  /** The format that the uploader says it is. */
  readonly claim: string
  /** Any of these, with severity `refuse`. */
  readonly codes: readonly FindingCode[]
  make(): Buffer | Promise<Buffer>
}

/** One change of a file: in place, or another file for it. */
export type Edit = (file: Buffer) => Buffer | void

type Row = readonly [what: string, codes: FindingCode | readonly FindingCode[], ...edits: Edit[]]

/** A family: the same base, a row for each lie. */
export function familyOf(
  family: string,
  claim: string,
  base: Buffer,
  rows: readonly Row[],
  seal: Edit = () => {},
): HostileImage[] {
  return rows.map(([what, codes, ...edits]) => ({
    name: `${family}: ${what}`,
    claim,
    codes: typeof codes === 'string' ? [codes] : codes,
    make: () => {
      let file: Buffer = Buffer.from(base)
      for (const edit of [...edits, seal]) file = edit(file) ?? file
      return file
    },
  }))
}

export const be16 = (at: number, value: number): Edit => {
  return (file) => void file.writeUInt16BE(value, at)
}
export const be32 = (at: number, value: number): Edit => {
  return (file) => void file.writeUInt32BE(value >>> 0, at)
}
export const be64 = (at: number, value: number | bigint): Edit => {
  return (file) => void file.writeBigUInt64BE(BigInt(value), at)
}
export const le16 = (at: number, value: number): Edit => {
  return (file) => void file.writeUInt16LE(value, at)
}
export const le32 = (at: number, value: number): Edit => {
  return (file) => void file.writeUInt32LE(value >>> 0, at)
}
export const le64 = (at: number, value: number | bigint): Edit => {
  return (file) => void file.writeBigUInt64LE(BigInt(value), at)
}
export const byte = (at: number, value: number): Edit => {
  return (file) => void file.writeUInt8(value, at)
}
/** Latin-1 text, or bytes, at an offset; negative counts from the end. */
export const put = (at: number, content: string | Uint8Array): Edit => {
  return (file) => {
    const bytes = typeof content === 'string' ? Buffer.from(content, 'latin1') : content
    file.set(bytes, at < 0 ? file.length + at : at)
  }
}
/** The first bytes only; negative: without so many at the end. */
export const cut = (length: number): Edit => {
  return (file) => file.subarray(0, length < 0 ? file.length + length : length)
}
export const append = (content: Uint8Array): Edit => {
  return (file) => Buffer.concat([file, content])
}
/** Every occurrence of a text by another of any length, the rest stays in place up to `window`. */
export const replaceText = (window: readonly [number, number], from: string, to: string): Edit => {
  return (file) => {
    const [start, end] = window
    const text = file.toString('latin1', start, end)
    if (!text.includes(from)) throw new Error(`no text ${from} to replace`)
    const changed = text.replaceAll(from, to).slice(0, end - start)
    file.fill(0, start, end)
    file.write(changed, start, 'latin1')
  }
}
