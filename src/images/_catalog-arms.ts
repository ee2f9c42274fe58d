/**
 * Which records a viewer sees, as arms: own ones, public ones, those shared with it. One condition with OR
 * would find them by no index, so each arm is asked for its own page, and the pages are merged.
 */
import type { DatabaseKind } from '../database/database.ts'
import { type Find, hint, PRIMARY_KEY } from './_catalog-filter.ts'
import type { Values } from './_catalog-sort.ts'
import type { ImageFilter, SortKey, Viewer } from './catalog.ts'
import type { MemberStatus, Visibility } from './image.ts'

/** Keys in whose order an owner's, public and community images have indexes of their own. */
const MAIN_KEYS: readonly SortKey[] = ['created_at', 'updated_at', 'name', 'size']

export interface Arm {
  /** A condition on the record `i`. */
  condition(values: Values): string
  /** The index that has this arm, and not much else, in the order of a key. */
  indexFor(key: SortKey): string | undefined
  /** Finds the ids of this arm: a `select` of `id`. Undefined: that is no way to find few. */
  readonly find?: Find
  /** It is found by rows of members (`m`) that have one of these statuses. */
  readonly members?: {
    readonly condition: (values: Values) => string
    readonly statuses: readonly MemberStatus[]
  }
}

/** The arms. An image is in two of them at most. */
export function armsOf(viewer: Viewer, filter: ImageFilter, kind: DatabaseKind): Arm[] {
  const { visibility } = filter
  const { project } = viewer
  if (viewer.all) return [everything(project, filter)]
  const arms: Arm[] = []
  const isAskedFor = (one: ImageFilter['visibility']) => visibility === one || visibility === 'all'
  if (project !== null) arms.push(ownedBy(project, kind, visibility))
  if (isAskedFor('public') || visibility === undefined) arms.push(ofVisibility('public', kind))
  if (isAskedFor('community')) arms.push(ofVisibility('community', kind))
  if (project !== null && (isAskedFor('shared') || visibility === undefined))
    arms.push(sharedWith(project, filter.memberStatus ?? 'accepted'))
  return arms
}

/** All there is; of community images those of others must be asked for. */
function everything(project: string | null, { visibility, owner }: ImageFilter): Arm {
  const family =
    owner !== undefined
      ? 'owner_'
      : visibility === 'public' || visibility === 'community'
        ? `${visibility}_`
        : ''
  return {
    condition(values) {
      if (visibility !== undefined) return isOf(visibility)
      const own = project === null ? '' : ` or i.owner = ${values.add(project)}`
      return `(i.visibility <> 'community'${own})`
    },
    indexFor: (key) => (family === '' ? globalIndex(key) : mainIndex(family, key)),
  }
}

function ownedBy(owner: string, kind: DatabaseKind, visibility: ImageFilter['visibility']): Arm {
  return {
    condition: (values) => `i.owner = ${values.add(owner)} and ${isOf(visibility ?? 'all')}`,
    indexFor: (key) => mainIndex('owner_', key),
    find: (values) =>
      `select id from images${hint(kind, 'images_owner_created_at')} where owner = ${values.add(owner)}`,
  }
}

function ofVisibility(visibility: 'public' | 'community', kind: DatabaseKind): Arm {
  return {
    condition: () => isOf(visibility),
    indexFor: (key) => mainIndex(`${visibility}_`, key),
    find: () =>
      `select id from images${hint(kind, `images_${visibility}_created_at`)} where visibility = '${visibility}'`,
  }
}

function sharedWith(project: string, status: MemberStatus | 'all'): Arm {
  const statuses: MemberStatus[] = status === 'all' ? ['accepted', 'pending', 'rejected'] : [status]
  const isIn = `m.status in (${statuses.map((one) => `'${one}'`).join(', ')})`
  const isIts = (values: Values) => `m.member = ${values.add(project)}`
  return {
    condition: (values) =>
      `i.visibility = 'shared' and (select count(*) from image_members m where m.image_id = i.id and ${isIts(values)} and ${isIn}) > 0`,
    indexFor: () => undefined,
    find: (values) =>
      `select m.image_id as id from image_members m where ${isIts(values)} and ${isIn}`,
    members: { condition: isIts, statuses },
  }
}

function isOf(visibility: Visibility | 'all'): string {
  return visibility === 'all' ? '1 = 1' : `i.visibility = '${visibility}'`
}

/** The index that has all images in the order of a key. */
export function globalIndex(key: SortKey): string {
  return key === 'id' ? PRIMARY_KEY : `images_${key}`
}

function mainIndex(family: string, key: SortKey): string | undefined {
  return MAIN_KEYS.includes(key) ? `images_${family}${key}` : undefined
}
