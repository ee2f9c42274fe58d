/**
 * The image factory: a base image (an operating system) becomes target images (made fit for a kind of cloud), and
 * those become provider images (pushed to one cloud). This file is their record; `factory.ts` is what is done with
 * them, `os-builder.ts` and `cloud-target.ts` are the parts that do the work, `template.ts` is what they work by.
 * The body of an image is an image of the catalog, with the same id if it is its own: every format of it can be had.
 */
import type { Json } from '../tasks/task.ts'

export type FactoryImageType = 'base' | 'target' | 'provider'

/** Source: Image Factory's statuses. PENDING waits for its parent; what is deleted is forgotten after a while. */
export type FactoryStatus =
  | 'NEW'
  | 'PENDING'
  | 'BUILDING'
  | 'COMPLETE'
  | 'FAILED'
  | 'DELETING'
  | 'DELETED'
  | 'DELETEFAILED'

export type JsonObject = { readonly [key: string]: Json }

export interface FactoryImage {
  /** A UUID. */
  readonly id: string
  readonly type: FactoryImageType
  readonly status: FactoryStatus
  /** What is being done, or was done last: `waiting for the guest to answer SSH`. */
  readonly activity: string
  /** Why it failed, in words for people; never a secret. */
  readonly error: string | null
  /** 0 to 100; it never goes back while an attempt lasts. */
  readonly percent: number
  /** Base image of a target image, target image of a provider image. A target's parent may be a target image. */
  readonly parentId: string | null
  /** The template's own name; null for one that was imported without one. */
  readonly name: string | null
  /** As it was given: TDL (XML) or a recipe (YAML). Null: taken from the parent, or none. */
  readonly template: string | null
  /** As they were given, but without secrets. */
  readonly parameters: JsonObject
  /** What became known on the way: the id in a cloud, an instance's address. */
  readonly properties: JsonObject
  /** The OS builder that makes it (base images). */
  readonly builder: string | null
  /** The kind of cloud (target and provider images). */
  readonly target: string | null
  /** The provider, as it was named; what the cloud calls the image; whose account there. */
  readonly provider: string | null
  readonly identifierOnProvider: string | null
  readonly providerAccount: string | null
  /** The image of the catalog that holds its body; null: none (yet), or it stays in a cloud. */
  readonly bodyId: string | null
  /** The project and user it is made for. */
  readonly owner: string | null
  readonly userId: string | null
  /** How often it was begun. */
  readonly attempts: number
  readonly createdAt: Date
  readonly updatedAt: Date
  /** When its work began and ended. */
  readonly startedAt: Date | null
  readonly endedAt: Date | null
}

/** What is kept beside an image. Lists do not read it. */
export const DOCUMENT_KINDS = [
  /** XML: packages, as Image Factory tells them. */
  'icicle',
  /** JSON: SPDX. */
  'sbom',
  /** JSON: all that is known of how it was made. */
  'manifest',
  /** JSON: what the recipe did. */
  'report',
  /** JSON: phases, and what was seen when, of a build that failed. */
  'timeline',
  /** PNG: the guest's screen when it failed. */
  'screenshot',
] as const
export type DocumentKind = (typeof DOCUMENT_KINDS)[number]

export function isFinal(status: FactoryStatus): boolean {
  return !['NEW', 'PENDING', 'BUILDING', 'DELETING'].includes(status)
}
