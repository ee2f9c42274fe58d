/**
 * What a factory image is made by: a TDL (Image Factory's XML) or a recipe, read into one shape. What is to be done in
 * the guest is always a recipe, so that one engine does it. `parse-template.ts` reads either.
 */
import type { Recipe } from '../recipes/recipe.ts'

/** An operating system as TDL names it: `{ name: 'Debian', version: '12', arch: 'x86_64' }`. */
export interface OsName {
  readonly name: string
  readonly version: string
  /** `i386`, `x86_64`, `ppc64`, `ppc64le`, `aarch64`, `armv7l`, `s390x`. */
  readonly arch: string
}

/** Where an installer gets the system from. */
export type InstallSource =
  | { readonly type: 'url'; readonly url: string }
  | {
      readonly type: 'iso'
      readonly url: string
      /** The URL of a file of checksums. */
      readonly checksum?: { readonly algorithm: 'md5' | 'sha1' | 'sha256'; readonly url: string }
      /** Put into the ISO. */
      readonly extras: readonly {
        readonly kind: 'file' | 'directory'
        readonly source: string
        readonly destination: string
      }[]
    }

/** What only somebody who installs an operating system wants to know. */
export interface InstallPlan {
  readonly source: InstallSource
  /** Bytes. */
  readonly diskSize: number
  /** Set in the stock answer file only; null: one made for this build and told to nobody. A secret. */
  readonly rootPassword: string | null
  /** A secret. */
  readonly productKey: string | null
  /** Appended to the installer's command line. */
  readonly kernelParameters: string | null
}

export interface Template {
  readonly kind: 'tdl' | 'recipe'
  /** As it was given. */
  readonly text: string
  /** Files that came along with it, by the paths it names. */
  readonly files?: Readonly<Record<string, Uint8Array>> | undefined
  readonly name: string
  readonly description: string
  /** Undefined for a recipe without `base`. */
  readonly os: OsName | undefined
  /** Of a TDL; undefined for a recipe, whose `base` says what is bootstrapped. */
  readonly install: InstallPlan | undefined
  /** What is done in the guest. */
  readonly recipe: Recipe
  /** Run once in the guest; a line for each package, in the order of `rpm -qa` or `dpkg-query -W`. */
  readonly icicleCommand: string | null
  /** What must not be shown: passwords and keys of the template. */
  readonly secrets: readonly string[]
}
