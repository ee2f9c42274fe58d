/**
 * The door of Image Factory's API: requests that are signed by OAuth, where clients are configured; else whoever the
 * service knows, as everywhere. Its errors are JSON, with the statuses that Image Factory meant.
 */
import type { FastifyRequest } from 'fastify'
import { oauthCaller, openOAuthVerifier } from '../access/identity/oauth1.ts'
import { IMAGE_FACTORY_TYPES } from '../api/factory-wire.ts'
import type { Service } from '../app/service.ts'
import { Failure } from '../base/failure.ts'
import type { FactoryImage, FactoryImageType } from '../factory/factory-image.ts'
import { chooseMediaType } from './_accept.ts'
import { baseUrlOf } from './_base-url.ts'
import { type Exchange, hasBody } from './_body.ts'
import { byToken, type Visit } from './_door.ts'
import { type FactoryDoor, findBuild, openFactoryDoor } from './_factory-door.ts'
import {
  fieldsOf,
  type ImageFactoryBody,
  isUrlencoded,
  readImageFactoryBody,
} from './_imagefactory-body.ts'

export interface ImageFactoryDoor extends FactoryDoor {
  /** The fields of an image of that type, in the body; none if there is no body. */
  fields(visit: Visit, type: FactoryImageType): Promise<Readonly<Record<string, unknown>>>
}

export function openImageFactoryDoor(service: Service): ImageFactoryDoor {
  const { config, context } = service
  const clients = config.factory.oauth_clients
  const verifier =
    Object.keys(clients).length === 0 ? undefined : openOAuthVerifier(clients, context.now)
  // What is signed has to be read before anybody knows who asks; it is read once.
  const bodies = new WeakMap<FastifyRequest, Promise<ImageFactoryBody>>()
  const read = (exchange: Exchange) => {
    const body = bodies.get(exchange.request) ?? readImageFactoryBody(exchange)
    bodies.set(exchange.request, body)
    return body
  }
  const bySignature = async (_service: Service, exchange: Exchange) => {
    const { request } = exchange
    const signsForm = hasBody(request.raw) && isUrlencoded(request)
    const key = verifier?.verify({
      method: request.method,
      url: `${baseUrlOf(config, request)}${request.originalUrl}`,
      authorization: request.headers.authorization,
      form: signsForm ? (await read(exchange)).form : undefined,
    })
    return oauthCaller(key ?? '', request.id)
  }
  const door = openFactoryDoor(service, verifier === undefined ? byToken : bySignature)
  return {
    ...door,
    fields: async (visit, type) => {
      if (!hasBody(visit.request.raw)) return {}
      return fieldsOf(await read(visit), IMAGE_FACTORY_TYPES[type].member)
    },
  }
}

/** Answers are JSON; XML was given up by Image Factory too. Fails with NOT_ACCEPTABLE. */
export function checkAccept({ headers }: FastifyRequest): void {
  if (chooseMediaType(headers.accept, ['application/json']) !== undefined) return
  throw new Failure('NOT_ACCEPTABLE', `answers are application/json, not ${headers.accept}`)
}

/** Ids that a path names: `/base_images/:base_id/target_images/:build_id`. */
export interface PathIds {
  readonly base_id?: string
  readonly target_id?: string
}

/** The ids of the path. Every one of them has to be there, and of what stands before it. Fails with BUILD_NOT_FOUND. */
export async function findParent(visit: Visit): Promise<FactoryImage | undefined> {
  const { base_id: baseId, target_id: targetId } = visit.request.params as PathIds
  const base = baseId === undefined ? undefined : await findOfType(visit, baseId, 'base')
  if (targetId === undefined) return base
  const target = await findOfType(visit, targetId, 'target')
  if (base !== undefined) checkChild(target, base)
  return target
}

/** Fails with BUILD_NOT_FOUND; what was deleted is not there. */
export async function findOfType(
  visit: Visit,
  id: string,
  type: FactoryImageType,
): Promise<FactoryImage> {
  const image = await findBuild(visit, id)
  if (image.type === type && image.status !== 'DELETED') return image
  throw notFound(id)
}

/** Fails with BUILD_NOT_FOUND unless the one was made of the other. */
export function checkChild({ id, parentId }: FactoryImage, parent: FactoryImage | undefined): void {
  if (parent !== undefined && parentId !== parent.id) throw notFound(id)
}

function notFound(id: string): Failure {
  return new Failure('BUILD_NOT_FOUND', `No image found with id: ${id}`, { details: { id } })
}
