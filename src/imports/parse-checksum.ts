import { Failure } from '../base/failure.ts'

/** Digests that may be told, and their length in hexadecimal digits. */
const DIGITS: Readonly<Record<string, number>> = { md5: 32, sha1: 40, sha256: 64, sha512: 128 }

/** What content has to hash to. */
export interface Checksum {
  readonly algorithm: string
  /** Hexadecimal, lower case. */
  readonly value: string
}

/**
 * A checksum as people give it: `sha256:…`, or an object of `algorithm` and `value`. Undefined stays so.
 * Fails with REQUEST_INVALID.
 */
export function parseChecksum(given: unknown): Checksum | undefined {
  if (given === undefined || given === null) return undefined
  const { algorithm, value } = partsOf(given)
  const name = String(algorithm).toLowerCase().replace('-', '')
  const digits = Object.hasOwn(DIGITS, name) ? DIGITS[name] : undefined
  if (digits === undefined)
    throw new Failure(
      'REQUEST_INVALID',
      `checksum: '${String(algorithm).slice(0, 40)}' is no digest that is known; wanted ${Object.keys(DIGITS).join(', ')}`,
    )
  if (typeof value !== 'string' || value.length !== digits || !/^[0-9a-f]+$/i.test(value))
    throw new Failure('REQUEST_INVALID', `checksum: wanted ${digits} hexadecimal digits of ${name}`)
  return { algorithm: name, value: value.toLowerCase() }
}

function partsOf(given: unknown): { algorithm: unknown; value: unknown } {
  if (typeof given === 'string') {
    const at = given.indexOf(':')
    return { algorithm: given.slice(0, Math.max(at, 0)), value: given.slice(at + 1) }
  }
  const { algorithm, value } = given as Record<string, unknown>
  return { algorithm, value }
}
