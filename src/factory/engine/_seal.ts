/**
 * Secrets at rest: AES-256-GCM. Layout of what is sealed:
 *
 * | offset | size | field |
 * | 0 | 1 | version, 1 |
 * | 1 | 12 | nonce, random |
 * | 13 | 16 | tag |
 * | 29 | … | the text, encrypted; bound to the image's id |
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { Failure } from '../../base/failure.ts'

const CIPHER = 'aes-256-gcm'
const VERSION = 1
const NONCE = 12
const TAG = 16

export function seal(key: Uint8Array, imageId: string, text: string): Uint8Array {
  const nonce = randomBytes(NONCE)
  const cipher = createCipheriv(CIPHER, key, nonce)
  cipher.setAAD(Buffer.from(imageId))
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
  return Buffer.concat([Buffer.of(VERSION), nonce, cipher.getAuthTag(), sealed])
}

/** Fails with CONFIG_INVALID when it was sealed by another key, or changed. */
export function unseal(key: Uint8Array, imageId: string, sealed: Uint8Array): string {
  const bytes = Buffer.from(sealed)
  try {
    if (bytes[0] !== VERSION) throw new Error(`version ${bytes[0]}`)
    const at = 1 + NONCE
    const decipher = createDecipheriv(CIPHER, key, bytes.subarray(1, at), { authTagLength: TAG })
    decipher.setAAD(Buffer.from(imageId))
    decipher.setAuthTag(bytes.subarray(at, at + TAG))
    const text = Buffer.concat([decipher.update(bytes.subarray(at + TAG)), decipher.final()])
    return text.toString('utf8')
  } catch (cause) {
    const message = `the secrets of factory image ${imageId} were not sealed by this server's key`
    throw new Failure('CONFIG_INVALID', message, {
      cause,
      fix: 'Servers that share a database must share `factory.secret_key_file`.',
    })
  }
}
