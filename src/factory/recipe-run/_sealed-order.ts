/** What a run was ordered with: kept sealed, since templates, arguments and keys may be secret, and only until it has ended. */
import type { GivenTemplate } from '../factory.ts'
import { seal, unseal } from '../engine/_seal.ts'

export interface KeptOrder {
  readonly text: string
  /** Base64, by path. */
  readonly files: Readonly<Record<string, string>>
  readonly args: Readonly<Record<string, string>>
  readonly commandTimeoutMs?: number | undefined
  /** Whoever ordered it owns the host. */
  readonly byOwner?: boolean | undefined
  readonly image?: {
    readonly trusted: boolean
    readonly rootFileSystem?: string | undefined
    readonly name?: string | undefined
    readonly clean: boolean
  }
  readonly login?: {
    /** `user@host:port`, in the order of the run's hosts. */
    readonly destinations: readonly string[]
    readonly privateKey: string
    readonly knownHosts: string
    readonly sudo: boolean
  }
}

export function sealOrder(key: Uint8Array, runId: string, order: KeptOrder): Uint8Array {
  return seal(key, runId, JSON.stringify(order))
}

/** Fails with CONFIG_INVALID when it was sealed by another key. */
export function unsealOrder(key: Uint8Array, runId: string, sealed: Uint8Array): KeptOrder {
  return JSON.parse(unseal(key, runId, sealed)) as KeptOrder
}

export function filesOf({ files = {} }: GivenTemplate): Record<string, string> {
  const packed = Object.entries(files).map(([path, bytes]) => [
    path,
    Buffer.from(bytes).toString('base64'),
  ])
  return Object.fromEntries(packed) as Record<string, string>
}

export function templateIn({ text, files }: KeptOrder): GivenTemplate {
  const unpacked = Object.entries(files).map(([path, packed]) => [
    path,
    Buffer.from(packed, 'base64'),
  ])
  return { text, files: Object.fromEntries(unpacked) as Record<string, Buffer> }
}
