/** What can be changed inside of a namespace: pure functions from one document to the next. */
import { Failure } from '../base/failure.ts'
import type {
  Namespace,
  ObjectDefinition,
  PropertyDefinition,
  ResourceTypeAssociation,
  TagDefinition,
} from './metadefs.ts'

/** Fails with FORBIDDEN when nothing may be taken from it. */
export function checkUnprotected({ namespace, protected: isProtected }: Namespace): void {
  if (isProtected)
    throw new Failure('FORBIDDEN', `metadata definition namespace ${namespace} is protected`)
}

/** Fails with DEFINITION_EXISTS. */
export function addProperty(to: Namespace, name: string, property: PropertyDefinition): Namespace {
  checkMissing(to, 'property', name, Object.hasOwn(to.properties, name))
  return { ...to, properties: { ...to.properties, [name]: property } }
}

/** Replaces a property, perhaps under a new name. Fails with DEFINITION_NOT_FOUND, DEFINITION_EXISTS. */
export function replaceProperty(
  of: Namespace,
  name: string,
  newName: string,
  property: PropertyDefinition,
): Namespace {
  checkFound(of, 'property', name, Object.hasOwn(of.properties, name))
  if (newName !== name) checkMissing(of, 'property', newName, Object.hasOwn(of.properties, newName))
  const entries = Object.entries(of.properties).map(([key, value]) =>
    key === name ? [newName, property] : [key, value],
  )
  return { ...of, properties: Object.fromEntries(entries) }
}

/** Fails with DEFINITION_NOT_FOUND, FORBIDDEN. */
export function removeProperty(from: Namespace, name: string): Namespace {
  checkFound(from, 'property', name, Object.hasOwn(from.properties, name))
  checkUnprotected(from)
  const { [name]: _removed, ...properties } = from.properties
  return { ...from, properties }
}

/** The lists of a namespace, and what failures call what is in them. */
interface Listed {
  objects: ObjectDefinition
  tags: TagDefinition
  resourceTypes: ResourceTypeAssociation
}
const NOUNS = { objects: 'object', tags: 'tag', resourceTypes: 'resource type' } as const

/** Fails with DEFINITION_NOT_FOUND. */
export function findListed<K extends keyof Listed>(
  of: Namespace,
  list: K,
  name: string,
): Listed[K] {
  const found = listOf(of, list).find((one) => one.name === name)
  checkFound(of, NOUNS[list], name, found !== undefined)
  return found as Listed[K]
}

/** Fails with DEFINITION_EXISTS. */
export function addListed<K extends keyof Listed>(
  to: Namespace,
  list: K,
  one: Listed[K],
): Namespace {
  const all = listOf(to, list)
  checkMissing(
    to,
    NOUNS[list],
    one.name,
    all.some(({ name }) => name === one.name),
  )
  return { ...to, [list]: [...all, one] }
}

/** Replaces one, perhaps under a new name. Fails with DEFINITION_NOT_FOUND, DEFINITION_EXISTS. */
export function replaceListed<K extends keyof Listed>(
  of: Namespace,
  list: K,
  name: string,
  one: Listed[K],
): Namespace {
  findListed(of, list, name)
  const all = listOf(of, list)
  if (one.name !== name)
    checkMissing(
      of,
      NOUNS[list],
      one.name,
      all.some((other) => other.name === one.name),
    )
  return { ...of, [list]: all.map((old) => (old.name === name ? one : old)) }
}

/** Fails with DEFINITION_NOT_FOUND, FORBIDDEN. */
export function removeListed(from: Namespace, list: keyof Listed, name: string): Namespace {
  findListed(from, list, name)
  checkUnprotected(from)
  return { ...from, [list]: listOf(from, list).filter((one) => one.name !== name) }
}

/**
 * The properties as they are called on resources of a type: with the prefix of its association.
 * Fails with DEFINITION_NOT_FOUND when the namespace is not for that type.
 */
export function prefixedProperties(of: Namespace, resourceType: string): Namespace {
  const prefix = findListed(of, 'resourceTypes', resourceType).prefix ?? ''
  const prefixed = (properties: Namespace['properties']) =>
    Object.fromEntries(Object.entries(properties).map(([name, one]) => [prefix + name, one]))
  return {
    ...of,
    properties: prefixed(of.properties),
    objects: of.objects.map((one) => ({ ...one, properties: prefixed(one.properties) })),
  }
}

function listOf<K extends keyof Listed>(of: Namespace, list: K): readonly Listed[K][] {
  return of[list] as readonly Listed[keyof Listed][] as readonly Listed[K][]
}

function checkFound({ namespace }: Namespace, noun: string, name: string, isThere: boolean): void {
  if (!isThere)
    throw new Failure(
      'DEFINITION_NOT_FOUND',
      `no metadata definition ${noun} ${name} in namespace ${namespace}`,
    )
}

function checkMissing(
  { namespace }: Namespace,
  noun: string,
  name: string,
  isThere: boolean,
): void {
  if (isThere)
    throw new Failure(
      'DEFINITION_EXISTS',
      `there is a metadata definition ${noun} ${name} in namespace ${namespace} already`,
    )
}
