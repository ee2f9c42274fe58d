import { createHash } from 'node:crypto'

const ROUNDS = 5000
const DIGITS = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const SIZE = 64

/**
 * A password as /etc/shadow has it (`$6$salt$…`), which every installer takes. `salt`: up to 16 letters and digits.
 * Source: Ulrich Drepper, "Unix crypt using SHA-256 and SHA-512"; the numbers are its steps.
 */
export function sha512Crypt(password: string, salt: string): string {
  const key = Buffer.from(password)
  const seed = Buffer.from(salt.slice(0, 16))
  const other = digestOf(key, seed, key) // 4 to 8
  const parts = [key, seed, repeatTo(other, key.length)] // 9, 10
  for (let bits = key.length; bits > 0; bits >>= 1) parts.push((bits & 1) === 1 ? other : key) // 11
  let digest = digestOf(...parts) // 12

  const keys = repeatTo(digestOf(...Array<Buffer>(key.length).fill(key)), key.length) // 13 to 16
  const seedTimes = 16 + (digest[0] ?? 0)
  const seeds = repeatTo(digestOf(...Array<Buffer>(seedTimes).fill(seed)), seed.length) // 17 to 20
  for (let round = 0; round < ROUNDS; round++) {
    const isOdd = round % 2 === 1
    const between = [round % 3 === 0 ? [] : [seeds], round % 7 === 0 ? [] : [keys]].flat()
    digest = digestOf(isOdd ? keys : digest, ...between, isOdd ? digest : keys) // 21
  }
  return `$6$${seed.toString()}$${encode(digest)}` // 22
}

function digestOf(...parts: Uint8Array[]): Buffer {
  return createHash('sha512').update(Buffer.concat(parts)).digest()
}

function repeatTo(bytes: Buffer, size: number): Buffer {
  return Buffer.alloc(size, bytes)
}

/** Six bits a digit, low ones first, of three bytes that stand a third of the digest apart, in turns. */
function encode(digest: Buffer): string {
  let text = ''
  const take = (value: number, digits: number) => {
    for (let rest = value, left = digits; left > 0; left--, rest >>= 6) text += DIGITS[rest & 63]
  }
  const third = (SIZE - 1) / 3
  for (let index = 0; index < third; index++) {
    const bytes = [0, third, 2 * third].map((start) => digest[start + index] ?? 0)
    const [high = 0, middle = 0, low = 0] = turn(bytes, index % 3)
    take((high << 16) | (middle << 8) | low, 4)
  }
  take(digest[SIZE - 1] ?? 0, 2)
  return text
}

function turn(values: readonly number[], by: number): number[] {
  return [...values.slice(by), ...values.slice(0, by)]
}
