/**
 * Static tokens. They are random, so that their plain SHA-256 tells nothing of them, and looking that up takes no
 * time that could tell something either: who does not have the token cannot choose its digest.
 */
import { hash, randomBytes } from 'node:crypto'

export const HASHED_TOKEN = /^sha256:[0-9a-f]{64}$/

/** Longer ones are nobody's: Keystone's longest are some 2 KiB. */
export const MAX_TOKEN_LENGTH = 16_384

/** A new token: 256 random bits. It is shown once, and kept by nobody but its owner. */
export function makeToken(): string {
  return `ingot_${randomBytes(32).toString('base64url')}`
}

/** What is written in the file of tokens. */
export function hashToken(token: string): string {
  return `sha256:${hash('sha256', token, 'hex')}`
}
