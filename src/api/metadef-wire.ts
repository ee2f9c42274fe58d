/** Metadata definitions from and to the wire. Source: the Image API v2; times have no fractions there. */
import type {
  Namespace,
  ObjectDefinition,
  PropertyDefinition,
  ResourceTypeAssociation,
  TagDefinition,
} from '../metadefs/metadefs.ts'
import type {
  WireNamespace,
  WireObject,
  WireProperty,
  WireResourceType,
  WireTag,
} from './metadef-schemas.ts'

const BASE = '/v2/metadefs/namespaces'

export function toWireTime(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`
}

function toWireDates({ createdAt, updatedAt }: { createdAt: Date; updatedAt: Date }) {
  return { created_at: toWireTime(createdAt), updated_at: toWireTime(updatedAt) }
}

export function toWireProperty(name: string, property: PropertyDefinition): object {
  return { name, ...property }
}

export function toWireObject(namespace: string, object: ObjectDefinition): object {
  const { name, description, required, properties } = object
  return {
    name,
    ...(description !== null && { description }),
    required,
    properties,
    self: `${BASE}/${encodeURIComponent(namespace)}/objects/${encodeURIComponent(name)}`,
    schema: '/v2/schemas/metadefs/object',
    ...toWireDates(object),
  }
}

export function toWireTag({ name, ...dates }: TagDefinition): object {
  return { name, ...toWireDates(dates) }
}

export function toWireResourceType(type: ResourceTypeAssociation): object {
  const { name, prefix, propertiesTarget } = type
  return {
    name,
    ...(prefix !== null && { prefix }),
    ...(propertiesTarget !== null && { properties_target: propertiesTarget }),
    ...toWireDates(type),
  }
}

/** A namespace in a listing, or just changed: what it is for, but not what is in it. */
export function toWireNamespaceHead(namespace: Namespace): object {
  const { displayName, description, owner, visibility, resourceTypes } = namespace
  return {
    namespace: namespace.namespace,
    ...(displayName !== null && { display_name: displayName }),
    ...(description !== null && { description }),
    visibility,
    protected: namespace.protected,
    ...(owner !== null && { owner }),
    ...(resourceTypes.length > 0 && {
      resource_type_associations: resourceTypes.map(({ name, createdAt, updatedAt }) => ({
        name,
        ...toWireDates({ createdAt, updatedAt }),
      })),
    }),
    self: `${BASE}/${encodeURIComponent(namespace.namespace)}`,
    schema: '/v2/schemas/metadefs/namespace',
    ...toWireDates(namespace),
  }
}

/** A namespace with all that is in it. */
export function toWireNamespace(namespace: Namespace): object {
  const { objects, tags, properties, resourceTypes } = namespace
  return {
    ...toWireNamespaceHead(namespace),
    ...(resourceTypes.length > 0 && {
      resource_type_associations: resourceTypes.map(toWireResourceType),
    }),
    ...(Object.keys(properties).length > 0 && { properties }),
    ...(objects.length > 0 && {
      objects: objects.map((one) => toWireObject(namespace.namespace, one)),
    }),
    ...(tags.length > 0 && { tags: tags.map(({ name }) => ({ name })) }),
  }
}

export function fromWireProperty({ name, ...property }: WireProperty): {
  name: string
  property: PropertyDefinition
} {
  return { name, property: property as PropertyDefinition }
}

export function fromWireObject(wire: WireObject, now: Date): ObjectDefinition {
  return {
    name: wire.name,
    description: wire.description ?? null,
    required: wire.required ?? [],
    properties: (wire.properties ?? {}) as ObjectDefinition['properties'],
    createdAt: now,
    updatedAt: now,
  }
}

export function fromWireTag({ name }: Pick<WireTag, 'name'>, now: Date): TagDefinition {
  return { name, createdAt: now, updatedAt: now }
}

export function fromWireResourceType(wire: WireResourceType, now: Date): ResourceTypeAssociation {
  return {
    name: wire.name,
    prefix: wire.prefix ?? null,
    propertiesTarget: wire.properties_target ?? null,
    createdAt: now,
    updatedAt: now,
  }
}

/** `owner` is who has it when the body does not say. */
export function fromWireNamespace(wire: WireNamespace, owner: string | null, now: Date): Namespace {
  return {
    namespace: wire.namespace,
    displayName: wire.display_name ?? null,
    description: wire.description ?? null,
    visibility: wire.visibility ?? 'private',
    protected: wire.protected ?? false,
    owner: wire.owner ?? owner,
    properties: (wire.properties ?? {}) as Namespace['properties'],
    objects: (wire.objects ?? []).map((one) => fromWireObject(one, now)),
    tags: (wire.tags ?? []).map((one) => fromWireTag(one, now)),
    resourceTypes: (wire.resource_type_associations ?? []).map((one) =>
      fromWireResourceType(one, now),
    ),
    createdAt: now,
    updatedAt: now,
  }
}
