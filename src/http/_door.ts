/**
 * The door of every route: who asks, whether the image is there for them, whether they may. A route says
 * what it needs and is handed it; nothing of a body is read before.
 *
 *     app.delete('/v2/images/:image_id', door.image('delete_image', async ({ image, reply }) => …))
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Caller, Target } from '../access/caller.ts'
import type { Service } from '../app/service.ts'
import { Failure } from '../base/failure.ts'
import type { Image } from '../images/image.ts'

/** A request by somebody we know. */
export interface Visit {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly caller: Caller
  readonly service: Service
}

/** One about an image that the caller sees. */
export interface ImageVisit extends Visit {
  readonly image: Image
  /** What policy rules are asked about it. */
  readonly target: Target
}

type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>

export interface Door {
  /** For everybody whom the authenticator knows; others get 401. */
  known(work: (visit: Visit) => Promise<unknown>): Handler
  /** For those whom the rule allows it in their own project; others get 403. */
  allowed(rule: string, work: (visit: Visit) => Promise<unknown>): Handler
  /**
   * For those who see the image `:image_id` (others get 404), and whom the rule allows it (others get
   * 403). Without a rule, seeing is enough.
   */
  image(rule: string | undefined, work: (visit: ImageVisit) => Promise<unknown>): Handler
}

export function openDoor(service: Service): Door {
  const known =
    (work: (visit: Visit) => Promise<unknown>): Handler =>
    async (request, reply) => {
      const caller = await whoAsks(service, request)
      return await work({ request, reply, caller, service })
    }
  return {
    known,
    allowed: (rule, work) =>
      known(async (visit) => {
        const { projectId } = visit.caller
        checkAllowed(visit, rule, { project_id: projectId, owner: projectId })
        return await work(visit)
      }),
    image: (rule, work) =>
      known(async (visit) => {
        const { image_id: id = '' } = visit.request.params as { image_id?: string }
        const found = await findImage(visit, id)
        if (rule !== undefined) checkAllowed(visit, rule, found.target)
        return await work({ ...visit, ...found })
      }),
  }
}

/** Fails with FORBIDDEN unless the rule allows it. */
export function checkAllowed(
  { service, caller }: Pick<Visit, 'service' | 'caller'>,
  rule: string,
  target: Target,
): void {
  if (service.policy.allows(rule, caller, target)) return
  throw new Failure('FORBIDDEN', `you are not allowed to do this (${rule})`, { details: { rule } })
}

/** The image, if it is there for the caller. Fails with IMAGE_NOT_FOUND. */
export async function findImage(
  { service, caller }: Pick<Visit, 'service' | 'caller'>,
  id: string,
): Promise<{ image: Image; target: Target }> {
  const image = await service.catalog.get(id)
  if (image !== undefined && image.status !== 'pending_delete' && image.status !== 'deleted') {
    const memberId = await membershipIn(image, { service, caller })
    const target = imageTarget(image, memberId)
    const sees = caller.isAdmin || isOpenTo(image, caller.projectId) || memberId !== null
    if (sees && service.policy.allows('get_image', caller, target)) return { image, target }
  }
  throw new Failure('IMAGE_NOT_FOUND', `no image with id ${id}`, { details: { id } })
}

/** What policy rules may ask about an image; `memberId` is the caller's project if it is shared with it. */
export function imageTarget(image: Image, memberId: string | null = null): Target {
  const { id, owner, visibility, status, name } = image
  return {
    project_id: owner,
    owner,
    visibility,
    member_id: memberId,
    image_id: id,
    id,
    name,
    status,
    protected: image.protected,
    os_hidden: image.hidden,
    disk_format: image.diskFormat,
    container_format: image.containerFormat,
  }
}

function isOpenTo({ owner, visibility }: Image, project: string | null): boolean {
  if (visibility === 'public' || visibility === 'community') return true
  return owner === null || owner === project
}

/** The caller's project, if the image is another's and shared with it. */
async function membershipIn(
  { id, owner, visibility }: Image,
  { service, caller }: Pick<Visit, 'service' | 'caller'>,
): Promise<string | null> {
  const { projectId } = caller
  if (visibility !== 'shared' || projectId === null || owner === projectId) return null
  const member = await service.catalog.member(id, projectId)
  return member === undefined ? null : projectId
}

function whoAsks({ authenticator }: Service, { headers, id }: FastifyRequest) {
  const { 'x-auth-token': token, 'x-service-token': serviceToken } = headers
  return authenticator.authenticate({
    token: single(token) ?? single(headers['x-storage-token']),
    serviceToken: single(serviceToken),
    requestId: id,
  })
}

function single(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header
}
