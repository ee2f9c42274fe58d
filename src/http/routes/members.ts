import type { FastifyInstance } from 'fastify'
import { MAX_NAME } from '../../api/image-schema.ts'
import type { WireMember } from '../../api/wire.ts'
import type { Service } from '../../app/service.ts'
import { Failure } from '../../base/failure.ts'
import type { Member, MemberStatus } from '../../images/image.ts'
import { sendJson, sendNothing } from '../_answer.ts'
import { checkText, readJsonObject } from '../_body.ts'
import { checkAllowed, type ImageVisit, openDoor } from '../_door.ts'
import { toWireTime } from '../_image-view.ts'

const MEMBERS = '/v2/images/:image_id/members'
const MEMBER = `${MEMBERS}/:member_id`
const STATUSES: readonly string[] = ['pending', 'accepted', 'rejected']

/** `/v2/images/{id}/members`: the projects that a shared image is shared with. */
export function memberRoutes(app: FastifyInstance, service: Service): void {
  const { images, catalog, policy } = service
  const door = openDoor(service)

  app.get(
    MEMBERS,
    { schema: { summary: 'list the projects an image is shared with' } },
    door.image('get_members', async (visit) => {
      checkShared(visit)
      const { image, target, caller, reply } = visit
      const members = (await catalog.members(image.id)).filter(({ member }) =>
        policy.allows('get_member', caller, { ...target, member_id: member }),
      )
      return sendJson(reply, 200, { members: members.map(toWire), schema: '/v2/schemas/members' })
    }),
  )

  app.post(
    MEMBERS,
    { schema: { summary: 'share an image with a project' } },
    door.image('add_member', async (visit) => {
      checkShared(visit)
      const { member } = await readJsonObject(visit)
      const added = await images.addMember(visit.image.id, checkMember(member))
      return sendJson(visit.reply, 200, toWire(added))
    }),
  )

  app.get(
    MEMBER,
    { schema: { summary: 'show what a project says to an image' } },
    door.image(undefined, async (visit) => {
      checkShared(visit)
      return sendJson(visit.reply, 200, toWire(await findMember(visit)))
    }),
  )

  app.put(
    MEMBER,
    { schema: { summary: 'accept or reject a shared image' } },
    door.image(undefined, async (visit) => {
      checkShared(visit)
      const { image, target, reply } = visit
      const { member } = await findMember(visit)
      checkAllowed(visit, 'modify_member', { ...target, member_id: member })
      const { status } = await readJsonObject(visit)
      const changed = await images.setMember(image.id, member, checkStatus(status))
      return sendJson(reply, 200, toWire(changed))
    }),
  )

  app.delete(
    MEMBER,
    { schema: { summary: 'share an image no longer' } },
    door.image('delete_member', async (visit) => {
      checkShared(visit)
      await images.removeMember(visit.image.id, memberOf(visit))
      return sendNothing(visit.reply)
    }),
  )
}

/** The member of the path, for the owner and for that member; others do not learn of it. */
async function findMember(visit: ImageVisit): Promise<Member> {
  const { service, image, target, caller } = visit
  const id = memberOf(visit)
  const member = await service.catalog.member(image.id, id)
  const mayKnow = service.policy.allows('get_member', caller, { ...target, member_id: id })
  if (member !== undefined && mayKnow) return member
  throw new Failure('MEMBER_NOT_FOUND', `image ${image.id} is not shared with ${id}`, {
    details: { id: image.id, member: id },
  })
}

function memberOf({ request }: ImageVisit): string {
  const { member_id: id = '' } = request.params as { member_id?: string }
  checkText(id)
  return id
}

function checkShared({ image: { id, visibility } }: ImageVisit): void {
  if (visibility === 'shared') return
  throw new Failure('FORBIDDEN', `image ${id} is ${visibility}; only shared images have members`)
}

function checkMember(member: unknown): string {
  if (typeof member !== 'string' || member === '' || member.length > MAX_NAME)
    throw new Failure(
      'REQUEST_INVALID',
      `'member' has to be a project: 1 to ${MAX_NAME} characters`,
    )
  checkText(member)
  return member
}

function checkStatus(status: unknown): MemberStatus {
  if (typeof status === 'string' && STATUSES.includes(status)) return status as MemberStatus
  throw new Failure('REQUEST_INVALID', `'status' has to be one of ${STATUSES.join(', ')}`)
}

function toWire({ imageId, member, status, createdAt, updatedAt }: Member): WireMember {
  return {
    member_id: member,
    image_id: imageId,
    status,
    created_at: toWireTime(createdAt),
    updated_at: toWireTime(updatedAt),
    schema: '/v2/schemas/member',
  }
}
