/**
 * TDL: the XML by which users of Oz and Image Factory say what an image is made of. This file is what one says once
 * it has been read; `parse-tdl.ts` reads it, `print-tdl.ts` writes it, `to-recipe.ts` makes a recipe of it. Order is
 * free in the XML and does not matter here, but that of commands, which stand in the order in which they run.
 */
import type { InstallSource, OsName } from '../template.ts'

/** A text of a template: as it stands, coded, or to be fetched when it is needed. */
export type TdlContent =
  | { readonly type: 'raw'; readonly text: string }
  | { readonly type: 'base64'; readonly bytes: Buffer }
  | { readonly type: 'url'; readonly url: string }

export interface TdlRepository {
  readonly name: string
  /** An address; for Debian and its kin also a whole line of sources.list. */
  readonly url: string
  readonly signed: boolean
  /** Whether it stays in the image. */
  readonly persisted: boolean
  readonly sslVerify: boolean
}

export interface TdlPackage {
  readonly name: string
}

export interface TdlFile {
  /** An absolute path of the guest. */
  readonly path: string
  readonly content: TdlContent
}

export interface TdlCommand {
  readonly name: string
  readonly content: TdlContent
}

export interface Tdl {
  readonly name: string
  readonly description: string
  readonly os: OsName
  readonly install: InstallSource
  /** Secrets, and what an installer is told. */
  readonly rootPassword: string | null
  readonly productKey: string | null
  readonly kernelParameters: string | null
  readonly icicleCommand: string | null
  /** Bytes; null: as much as is usual. */
  readonly diskSize: number | null
  readonly repositories: readonly TdlRepository[]
  readonly packages: readonly TdlPackage[]
  readonly files: readonly TdlFile[]
  readonly precommands: readonly TdlCommand[]
  readonly commands: readonly TdlCommand[]
}

/** Processors that a template may name. */
export const ARCHITECTURES = [
  'i386',
  'x86_64',
  'ppc64',
  'ppc64le',
  'aarch64',
  'armv7l',
  's390x',
] as const
