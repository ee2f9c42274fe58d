/**
 * Metadata definitions: what properties of images (and other resources) mean, so that people can choose them
 * from a list. A namespace holds properties, objects (properties that belong together), tags, and the
 * types of resources it is for. Namespaces are small: each is one document, changed as a whole.
 *
 * Made by `openMetadefs` (`open-metadefs.ts`); what is changed inside of a namespace is told by the pure
 * functions of `definitions.ts`. Source: the Image API v2, metadata definitions.
 */
import type { Json } from '../tasks/task.ts'

/** What a property is: a JSON Schema of its own, as clients read it (`title` and `type` are there). */
export type PropertyDefinition = Readonly<Record<string, Json>>

interface Dated {
  readonly createdAt: Date
  readonly updatedAt: Date
}

/** Properties that belong together. */
export interface ObjectDefinition extends Dated {
  readonly name: string
  readonly description: string | null
  readonly required: readonly string[]
  readonly properties: Readonly<Record<string, PropertyDefinition>>
}

export interface TagDefinition extends Dated {
  readonly name: string
}

/** A type of resource that a namespace is for. */
export interface ResourceTypeAssociation extends Dated {
  /** `OS::Glance::Image`. */
  readonly name: string
  /** Stands before the names of properties on such resources: `hw_`. */
  readonly prefix: string | null
  readonly propertiesTarget: string | null
}

export interface Namespace extends Dated {
  readonly namespace: string
  readonly displayName: string | null
  readonly description: string | null
  readonly visibility: 'public' | 'private'
  /** Neither it nor what is in it can be deleted. */
  readonly protected: boolean
  /** The project it belongs to. */
  readonly owner: string | null
  readonly properties: Readonly<Record<string, PropertyDefinition>>
  readonly objects: readonly ObjectDefinition[]
  readonly tags: readonly TagDefinition[]
  readonly resourceTypes: readonly ResourceTypeAssociation[]
}

export interface NamespaceQuery {
  /** Sees public ones, and its own; everything with `all`. */
  readonly viewer: { readonly project: string | null; readonly all: boolean }
  readonly visibility?: 'public' | 'private'
  /** For any of these types of resources. */
  readonly resourceTypes?: readonly string[]
  readonly sort: {
    readonly key: 'namespace' | 'created_at' | 'updated_at'
    readonly direction: 'asc' | 'desc'
  }
  readonly limit: number
  /** The name of the one behind which the page begins. Fails with DEFINITION_NOT_FOUND. */
  readonly after?: string
}

export interface Metadefs {
  list(query: NamespaceQuery): Promise<readonly Namespace[]>
  get(namespace: string): Promise<Namespace | undefined>
  /** Fails with DEFINITION_EXISTS. */
  create(namespace: Namespace): Promise<Namespace>
  /** Fails with DEFINITION_NOT_FOUND, DEFINITION_EXISTS (its new name), and with what `change` throws. */
  change(namespace: string, change: (namespace: Namespace) => Namespace): Promise<Namespace>
  /** Fails with DEFINITION_NOT_FOUND, FORBIDDEN (it is protected). */
  delete(namespace: string): Promise<void>
  /** Every type of resource that any namespace is for. */
  resourceTypes(): Promise<readonly ResourceTypeAssociation[]>
}
