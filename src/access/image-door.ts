/**
 * The door before images: what is not there for a caller, and what he may not do with what is. Two layers, as in
 * Glance: reach (whose is it, how visible, shared with whom), which no rule can widen; then the rules.
 */
import { Failure } from '../base/failure.ts'
import type { Caller, Policy, Target } from './caller.ts'
import type { RuleName } from './default-rules.ts'

/** What the door wants to know of an image; records of the catalog have it all. */
export interface GuardedImage {
  readonly id: string
  readonly name: string | null
  readonly status: string
  readonly visibility: string
  readonly owner: string | null
  readonly protected: boolean
  readonly hidden: boolean
  readonly checksum: string | null
  readonly size: number | null
  readonly virtualSize: number | null
  readonly containerFormat: string | null
  readonly diskFormat: string | null
  readonly minRamMiB: number
  readonly minDiskGiB: number
  readonly properties: Readonly<Record<string, string>>
}

type Shared = Pick<GuardedImage, 'visibility' | 'owner'>

/** Whether reach depends on a membership of the caller's project, which then has to be looked up. */
export function dependsOnMembership(image: Shared, caller: Caller): boolean {
  return (
    image.visibility === 'shared' &&
    image.owner !== null &&
    image.owner !== caller.projectId &&
    caller.projectId !== null &&
    !caller.isAdmin
  )
}

/**
 * Whether the image is there for the caller, before any rule is asked. `isMember`: it is shared with the
 * caller's project, be it accepted, pending or rejected.
 */
export function isReachable(image: Shared, caller: Caller, isMember: boolean): boolean {
  const { visibility, owner } = image
  if (caller.isAdmin || owner === null || owner === caller.projectId) return true
  if (visibility === 'public' || visibility === 'community') return true
  return visibility === 'shared' && caller.projectId !== null && isMember
}

/**
 * What rules are told of an image that the caller reaches. Whoever reaches a shared image of somebody else does so
 * as a member of it, so `member_id` is his own project. Names of Glance's targets.
 */
export function imageTarget(image: GuardedImage, caller: Caller): Target {
  const isMine = image.owner === caller.projectId
  return {
    id: image.id,
    image_id: image.id,
    name: image.name,
    status: image.status,
    visibility: image.visibility,
    project_id: image.owner,
    owner: image.owner,
    member_id: image.visibility === 'shared' && !isMine ? caller.projectId : null,
    protected: image.protected,
    os_hidden: image.hidden,
    checksum: image.checksum,
    size: image.size,
    virtual_size: image.virtualSize,
    container_format: image.containerFormat,
    disk_format: image.diskFormat,
    min_ram: image.minRamMiB,
    min_disk: image.minDiskGiB,
    properties: image.properties,
  }
}

/**
 * Lets the caller pass who reaches the image, and whom the rule allows it; gives what other rules are to be told. Who
 * reaches it and may not so much as see it (rule `get_image`) does not learn that it is there.
 * Fails with IMAGE_NOT_FOUND, FORBIDDEN.
 */
export function guardImage(
  policy: Policy,
  caller: Caller,
  image: GuardedImage,
  isMember: boolean,
  rule: RuleName = 'get_image',
): Target {
  if (!isReachable(image, caller, isMember)) throw noImage(image.id)
  const target = imageTarget(image, caller)
  if (policy.allows(rule, caller, target)) return target
  if (rule === 'get_image' || !policy.allows('get_image', caller, target)) throw noImage(image.id)
  throw refusal(rule)
}

/** Lets the caller pass whom the rule allows it. Fails with FORBIDDEN. */
export function guard(policy: Policy, caller: Caller, target: Target, rule: RuleName): void {
  if (!policy.allows(rule, caller, target)) throw refusal(rule)
}

function refusal(rule: RuleName): Failure {
  return new Failure('FORBIDDEN', `You are not authorized to complete ${rule} action.`, {
    details: { rule },
  })
}

/** The same for one that does not exist and one that the caller may not know of. */
export function noImage(id: string): Failure {
  return new Failure('IMAGE_NOT_FOUND', `No image found with ID ${id}`, { details: { id } })
}
