/**
 * Which records a viewer sees, as arms: own ones, public ones, those shared with it. One condition with OR
 * would find them by no index, so each arm is a trail of its own, in the order that is asked for.
 */
import type { Values } from './_catalog-sort.ts'
import { PRIMARY_KEY, type Trail } from './_catalog-trail.ts'
import type { ImageFilter, ImageQuery, SortKey, Viewer } from './catalog.ts'
import type { MemberStatus, Visibility } from './image.ts'

/** Keys in whose order an owner's, public and community images have indexes of their own. */
const MAIN_KEYS: readonly SortKey[] = ['created_at', 'updated_at', 'name', 'size']
const ALL = () => ''

export interface Arm {
  /** As a condition on the record `i`. */
  seen(values: Values): string
  /** In the order of a key. */
  trails(key: SortKey): Trail[]
  /** In no order, where that may be much shorter. */
  readonly unordered?: readonly Trail[]
}

/** The arms. An image is in two of them at most. */
export function armsOf({ viewer, filter }: ImageQuery): Arm[] {
  const { visibility } = filter
  const { project } = viewer
  if (viewer.all) return [everything(project, filter)]
  const isAskedFor = (...those: ImageFilter['visibility'][]) =>
    visibility === 'all' || those.includes(visibility)
  return [
    ...(project === null ? [] : [ownedBy(project, filter)]),
    ...(isAskedFor('public', undefined) ? [ofVisibility('public', filter)] : []),
    ...(isAskedFor('community') ? [ofVisibility('community', filter)] : []),
    ...(project !== null && isAskedFor('shared', undefined) ? [sharedWith(project, filter)] : []),
  ]
}

/** Who is seen, by any of the arms. */
export function seenByAny(viewer: Viewer, filter: ImageFilter, values: Values): string {
  const arms = armsOf({ viewer, filter, sort: [], limit: 0 }).map((arm) => `(${arm.seen(values)})`)
  return arms.length === 0 ? '1 = 0' : `(${arms.join(' or ')})`
}

/** All there is; of community images those of others must be asked for. */
function everything(project: string | null, filter: ImageFilter): Arm {
  const { visibility, owner } = filter
  const seen = (values: Values) => {
    if (visibility !== undefined) return isOf(visibility)
    const own = project === null ? '' : ` or i.owner = ${values.add(project)}`
    return `(i.visibility <> 'community'${own})`
  }
  return {
    seen,
    trails: (key) => {
      if (MAIN_KEYS.includes(key)) {
        if (owner !== undefined) return [ofOwner(owner, key, filter, seen)]
        if (visibility === 'public' || visibility === 'community')
          return [open(visibility, key, filter, seen)]
      }
      return [globalTrail(key, filter, seen)]
    },
  }
}

function ownedBy(owner: string, filter: ImageFilter): Arm {
  const isVisible = isOf(filter.visibility ?? 'all')
  return {
    seen: (values) => `i.owner = ${values.add(owner)} and ${isVisible}`,
    trails: (key) =>
      MAIN_KEYS.includes(key)
        ? [ofOwner(owner, key, filter, () => isVisible)]
        : [globalTrail(key, filter, (values) => `i.owner = ${values.add(owner)} and ${isVisible}`)],
    unordered: [ofOwner(owner, 'created_at', filter, () => isVisible)],
  }
}

function ofVisibility(visibility: 'public' | 'community', filter: ImageFilter): Arm {
  const seen = () => isOf(visibility)
  return {
    seen,
    trails: (key) =>
      MAIN_KEYS.includes(key)
        ? [open(visibility, key, filter, seen)]
        : [globalTrail(key, filter, seen)],
    unordered: [open(visibility, 'created_at', filter, seen)],
  }
}

function sharedWith(project: string, filter: ImageFilter): Arm {
  const status = filter.memberStatus ?? 'accepted'
  const statuses: MemberStatus[] = status === 'all' ? ['accepted', 'pending', 'rejected'] : [status]
  const isIn = statuses.map((one) => `'${one}'`).join(', ')
  const seen = (values: Values) =>
    `i.visibility = 'shared' and (select count(*) from image_members m where m.image_id = i.id and m.member = ${values.add(project)} and m.status in (${isIn})) > 0`
  const unordered = statuses.map((one): Trail => ({
    table: 'image_members',
    index: 'image_members_member',
    key: 'created_at',
    entries: (values) => `member = ${values.add(project)} and status = '${one}'`,
    seen: () => isOf('shared'),
    filter,
  }))
  return {
    seen,
    trails: (key) => (key === 'created_at' ? unordered : [globalTrail(key, filter, seen)]),
    unordered,
  }
}

function isOf(visibility: Visibility | 'all'): string {
  return visibility === 'all' ? '1 = 1' : `i.visibility = '${visibility}'`
}

function ofOwner(owner: string, key: SortKey, filter: ImageFilter, seen: Trail['seen']): Trail {
  return {
    table: 'images',
    index: `images_owner_${key}`,
    key,
    entries: (values) => `owner = ${values.add(owner)}`,
    seen,
    filter,
  }
}

/** Public or community images. */
function open(
  visibility: 'public' | 'community',
  key: SortKey,
  filter: ImageFilter,
  seen: Trail['seen'],
): Trail {
  const family = key === 'created_at' ? 'visibility' : visibility
  return {
    table: 'images',
    index: `images_${family}_${key}`,
    key,
    entries: () => `visibility = '${visibility}'`,
    seen,
    filter,
  }
}

/** All images in the order of a key. */
function globalTrail(key: SortKey, filter: ImageFilter, seen: Trail['seen']): Trail {
  const index = key === 'id' ? PRIMARY_KEY : `images_${key}`
  return { table: 'images', index, key, entries: ALL, seen, filter }
}
