/** The key by which the factory seals secrets. */
import { link, open, readFile, rm } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { asFileFailure, Failure, systemCode } from '../base/failure.ts'
import { workingPath } from '../base/leftovers.ts'

const SIZE = 32

/**
 * The key in the file `path`: 32 bytes as 64 hexadecimal digits. It is made, for its owner only, if it is not there and
 * `make` is set. Fails with CONFIG_INVALID (no key is in it), FILE_NOT_FOUND, FILE_UNREADABLE.
 */
export async function openSecretKey(path: string, make: boolean): Promise<Uint8Array> {
  try {
    return parseKey(await readFile(path, 'utf8'), path)
  } catch (error) {
    if (!make || systemCode(error) !== 'ENOENT') throw asFileFailure(error, path)
  }
  try {
    await writeKey(path)
    return parseKey(await readFile(path, 'utf8'), path)
  } catch (error) {
    throw asFileFailure(error, path)
  }
}

/** Whole or not at all; another process may make it at the same time, and the first one stands. */
async function writeKey(path: string): Promise<void> {
  const working = workingPath(path, randomBytes(4).toString('hex'))
  try {
    await using file = await open(working, 'wx', 0o600)
    await file.writeFile(`${randomBytes(SIZE).toString('hex')}\n`)
    await file.sync()
    await link(working, path).catch((error: unknown) => {
      if (systemCode(error) !== 'EEXIST') throw error
    })
  } finally {
    await rm(working, { force: true })
  }
}

function parseKey(text: string, path: string): Uint8Array {
  const digits = text.trim()
  if (!/^[0-9a-f]{64}$/i.test(digits))
    throw new Failure('CONFIG_INVALID', `${path}: wanted a key of 64 hexadecimal digits`)
  return Buffer.from(digits, 'hex')
}
