import { open } from 'node:fs/promises'
import { asFileFailure } from '../../base/failure.ts'
import type { RecipeFault } from '../../recipes/recipe.ts'
import { MAX_TEMPLATE } from './_guard-xml.ts'

/** A character of UTF-8 has four bytes at most. More than the parser takes, so that it is the parser that refuses. */
const MAX_BYTES = 4 * MAX_TEMPLATE + 4

/** The text of a template's file, or where it is not UTF-8. Fails with FILE_NOT_FOUND, FILE_UNREADABLE. */
export async function readTdl(file: string): Promise<string | RecipeFault> {
  const bytes = await readStart(file)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    const isWide =
      (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)
    const before = isWide ? '' : (bytes.toString().split('\ufffd', 1)[0] ?? '')
    const lines = before.split(/\r\n?|\n/)
    return {
      severity: 'error',
      place: { file, line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 },
      message: `wanted a template in UTF-8, found ${isWide ? 'UTF-16' : 'bytes that are no text in it'}`,
    }
  }
}

async function readStart(file: string): Promise<Buffer> {
  try {
    await using handle = await open(file)
    const bytes = Buffer.alloc(MAX_BYTES)
    let length = 0
    for (let read = -1; read !== 0 && length < MAX_BYTES; length += read)
      read = (await handle.read(bytes, length, MAX_BYTES - length)).bytesRead
    return bytes.subarray(0, length)
  } catch (error) {
    throw asFileFailure(error, file)
  }
}
