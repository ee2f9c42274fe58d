/** What a run was ordered with: kept sealed, since templates, arguments and keys may be secret, and only until it has ended. */
import type { GivenTemplate } from '../factory.ts'
import { seal, unseal } from '../engine/_seal.ts'
import { type PackedFiles, unpackFiles } from '../template-files.ts'

export interface KeptOrder {
  readonly text: string
  readonly files: PackedFiles
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

export function templateIn({ text, files }: KeptOrder): GivenTemplate {
  return { text, files: unpackFiles(files) }
}
