/**
 * The door of the factory's routes: a build of another project is not there (404), to administrators all are; then the
 * rules. Also what only operators may say in an order.
 */
import type { Target } from '../access/caller.ts'
import type { RuleName } from '../access/default-rules.ts'
import { UUID_PATTERN } from '../api/image-schema.ts'
import type { Service } from '../app/service.ts'
import { Failure } from '../base/failure.ts'
import type { FactoryImage } from '../factory/factory-image.ts'
import type { Requester } from '../factory/factory.ts'
import { checkAllowed, type Door, openDoor, type Visit } from './_door.ts'
import { objectIn } from './_imagefactory-body.ts'

/** A request about a factory image that the caller sees. */
export interface BuildVisit extends Visit {
  readonly image: FactoryImage
}

type Handler = ReturnType<Door['known']>

export interface FactoryDoor extends Pick<Door, 'known' | 'allowed'> {
  /** For those who see the build `:build_id` (others get 404), and whom the rule allows it (others get 403). */
  build(rule: RuleName, work: (visit: BuildVisit) => Promise<unknown>): Handler
}

/** `whoAsks` as that of `openDoor`. */
export function openFactoryDoor(
  service: Service,
  whoAsks?: Parameters<typeof openDoor>[1],
): FactoryDoor {
  const door = openDoor(service, whoAsks)
  return {
    known: door.known,
    allowed: door.allowed,
    build: (rule, work) =>
      door.known(async (visit) => {
        const { build_id: id = '' } = visit.request.params as { build_id?: string }
        return await work({ ...visit, image: await findBuild(visit, id, rule) })
      }),
  }
}

const UUID = new RegExp(UUID_PATTERN)

/** The build, if the caller sees it, and the rule allows it. Fails with BUILD_NOT_FOUND, FORBIDDEN. */
export async function findBuild(
  visit: Pick<Visit, 'service' | 'caller'>,
  id: string,
  rule: RuleName = 'factory_get',
): Promise<FactoryImage> {
  const { service, caller } = visit
  if (!UUID.test(id)) throw noBuild(id)
  const image = await service.factory.get(id)
  const isMine = image.owner !== null && image.owner === caller.projectId
  const target = targetOf(image)
  if (!(isMine || caller.isAdmin) || !service.policy.allows('factory_get', caller, target))
    throw noBuild(id)
  if (rule !== 'factory_get') checkAllowed(visit, rule, target)
  return image
}

function targetOf(image: FactoryImage): Target {
  const { id, owner, name, type, status } = image
  return { id, project_id: owner, owner, name, type, status }
}

/** Whose builds the caller sees in lists; undefined: everybody's. */
export function ownerSeenBy({ caller }: Pick<Visit, 'caller'>): string | null | undefined {
  return caller.isAdmin ? undefined : caller.projectId
}

/** For whom a request has something made. */
export function requesterOf({ caller }: Pick<Visit, 'caller'>): Requester {
  const { projectId: owner, userId, requestId } = caller
  return { owner, userId, requestId }
}

/** What an order says that is dangerous to a server which everybody may tell it. */
interface Daring {
  readonly provider?: string | undefined
  readonly definition?: unknown
  readonly credentials?: unknown
  readonly builder?: string | undefined
  readonly parameters: Readonly<Record<string, unknown>>
}

/**
 * Where images are pushed, and builds are handed, is what the configuration names; who may say otherwise is a matter of a
 * rule: the server would go wherever it is told. So is a recipe that is trusted. Fails with FORBIDDEN.
 */
export function checkDaring(visit: Visit, order: Daring): void {
  const { projectId } = visit.caller
  const target = { project_id: projectId, owner: projectId }
  const { provider = '', definition, credentials, builder, parameters } = order
  const isDefined = definition !== undefined || /^[\s@]*[{<]/.test(provider) // Image Factory's takes its place
  if (isDefined || credentials !== undefined || goesAnywhere(parameters, builder))
    checkAllowed(visit, 'factory_given_provider', target)
  if (saysTrusted(parameters)) checkAllowed(visit, 'factory_trusted', target)
}

/** Whether a build may be handed to whatever Ingot the parameters name: by this one, or one that it is handed to. */
function goesAnywhere(parameters: Daring['parameters'], builder?: string): boolean {
  const named = builder ?? parameters['builder']
  const isOther = typeof named === 'string' && named !== 'remote' // what is no name names nothing: any may be taken
  return (!isOther && 'endpoint' in parameters) || goesOn(parameters, goesAnywhere)
}

function saysTrusted(parameters: Daring['parameters']): boolean {
  return parameters['trusted'] !== undefined || goesOn(parameters, saysTrusted)
}

/**
 * What is passed on to another Ingot, there said by this one, whose word counts for more. It may be the JSON of it, as of
 * all parameters. Fails with REQUEST_INVALID.
 */
function goesOn(
  parameters: Daring['parameters'],
  isDaring: (parameters: Daring['parameters']) => boolean,
): boolean {
  if (!Object.hasOwn(parameters, 'remote_parameters')) return false
  return isDaring(objectIn(parameters, 'remote_parameters'))
}

function noBuild(id: string): Failure {
  return new Failure('BUILD_NOT_FOUND', `no factory image ${id}`, { details: { id } })
}
