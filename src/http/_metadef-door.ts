import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Static, TSchema } from 'typebox'
import type { RuleName } from '../access/default-rules.ts'
import type { Service } from '../app/service.ts'
import { Failure } from '../base/failure.ts'
import type { Namespace } from '../metadefs/metadefs.ts'
import { findFaults } from '../schema/find-faults.ts'
import { readJson } from './_body.ts'
import { checkAllowed, openDoor, type Visit } from './_door.ts'

/** A request about a namespace that the caller sees. */
export interface NamespaceVisit extends Visit {
  readonly namespace: Namespace
  /** The name of what it is about inside of the namespace; empty where it is about the namespace. */
  readonly name: string
}

type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>

export type NamespaceDoor = (
  rule: RuleName,
  work: (visit: NamespaceVisit) => Promise<unknown>,
) => Handler

/**
 * The door of routes below `/v2/metadefs/namespaces/:namespace`: 404 for those who do not see the namespace,
 * 403 for those whom the rule does not allow it.
 */
export function openNamespaceDoor(service: Service): NamespaceDoor {
  const door = openDoor(service)
  return (rule, work) =>
    door.known(async (visit) => {
      const { namespace: id = '', name = '' } = visit.request.params as Record<string, string>
      const namespace = await findNamespace(visit, id)
      checkAllowed(visit, rule, targetOf(namespace))
      return await work({ ...visit, namespace, name })
    })
}

async function findNamespace(visit: Visit, id: string): Promise<Namespace> {
  const { caller, service } = visit
  const namespace = await service.metadefs.get(id)
  if (namespace !== undefined) {
    const { visibility, owner } = namespace
    const isMine = owner !== null && owner === caller.projectId
    const sees = caller.isAdmin || visibility === 'public' || isMine
    if (sees && service.policy.allows('get_metadef_namespace', caller, targetOf(namespace)))
      return namespace
  }
  throw new Failure('DEFINITION_NOT_FOUND', `no metadata definition namespace ${id}`)
}

function targetOf({ namespace, owner, visibility }: Namespace) {
  return { project_id: owner, owner, visibility, namespace }
}

/** The body, if it has the shape. Fails with REQUEST_INVALID, which names every fault. */
export async function readShape<Shape extends TSchema>(
  visit: Visit,
  schema: Shape,
  maximum?: number,
): Promise<Static<Shape>> {
  const body = await readJson(visit, maximum)
  const faults = findFaults(schema, body)
  if (faults.length === 0) return body as Static<Shape>
  throw new Failure(
    'REQUEST_INVALID',
    faults.map(({ path, message }) => `/${path.join('/')}: ${message}`).join('; '),
  )
}
