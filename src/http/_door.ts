/**
 * The door of every route: who asks, whether the image is there for them, whether they may. A route says
 * what it needs and is handed it; nothing of a body is read before.
 *
 *     app.delete('/v2/images/:image_id', door.image('delete_image', async ({ image, reply }) => …))
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Caller, Target } from '../access/caller.ts'
import type { RuleName } from '../access/default-rules.ts'
import { dependsOnMembership, guard, guardImage, noImage } from '../access/image-door.ts'
import { UUID_PATTERN } from '../api/image-schema.ts'
import type { Service } from '../app/service.ts'
import type { Image } from '../images/image.ts'
import type { Exchange } from './_body.ts'

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
  allowed(rule: RuleName, work: (visit: Visit) => Promise<unknown>): Handler
  /**
   * For those who see the image `:image_id` (others get 404), and whom the rule allows it (others get
   * 403). Without a rule, seeing is enough.
   */
  image(rule: RuleName | undefined, work: (visit: ImageVisit) => Promise<unknown>): Handler
}

/** Who asks; fails with UNAUTHENTICATED. */
type WhoAsks = (service: Service, exchange: Exchange) => Caller | Promise<Caller>

/** `whoAsks`: how callers are told, if not by their tokens. */
export function openDoor(service: Service, whoAsks: WhoAsks = byToken): Door {
  const known =
    (work: (visit: Visit) => Promise<unknown>): Handler =>
    async (request, reply) => {
      const caller = await whoAsks(service, { request, reply })
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
      known(async ({ request, reply, caller }) => {
        const { image_id: id = '' } = request.params as { image_id?: string }
        const { image, target } = await findImage({ service, caller }, id, rule)
        return await work({ request, reply, caller, service, image, target })
      }),
  }
}

/** What is none is not looked for: databases have no text for everything that addresses may hold. */
const UUID = new RegExp(UUID_PATTERN)

type Asking = Pick<Visit, 'service' | 'caller'>

/** Lets pass whom the rule allows. Fails with FORBIDDEN. */
export function checkAllowed({ service, caller }: Asking, rule: RuleName, target: Target): void {
  guard(service.policy, caller, target, rule)
}

/** The image, if the caller sees it, and the rule allows it. Fails with IMAGE_NOT_FOUND, FORBIDDEN. */
export async function findImage(
  { service, caller }: Asking,
  id: string,
  rule?: RuleName,
): Promise<{ image: Image; target: Target }> {
  const { catalog, policy } = service
  const image = UUID.test(id) ? await catalog.get(id) : undefined
  // One that waits to be deleted is gone already
  if (image === undefined || image.status === 'pending_delete') throw noImage(id)
  const isMember =
    caller.projectId !== null &&
    dependsOnMembership(image, caller) &&
    (await catalog.member(id, caller.projectId)) !== undefined
  return { image, target: guardImage(policy, caller, image, isMember, rule) }
}

/** By the tokens in the headers. */
export const byToken: WhoAsks = ({ authenticator }, { request: { headers, id } }) => {
  return authenticator.authenticate({
    token: single(headers['x-auth-token']) ?? single(headers['x-storage-token']),
    serviceToken: single(headers['x-service-token']),
    requestId: id,
  })
}

function single(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header
}
