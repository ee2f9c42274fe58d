import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Service } from '../../app/service.ts'
import { Failure } from '../../base/failure.ts'
import type { PartInfo } from '../../factory/factory.ts'
import { sendJson } from '../_answer.ts'
import { baseUrlOf } from '../_base-url.ts'
import { checkAccept, type ImageFactoryDoor } from '../_imagefactory-door.ts'

const ROOT = '/imagefactory'
/** The release whose interface this is. */
const VERSION = { name: 'imagefactory', version: '1.1.16-1', api_version: '2.0' }
const MAINTAINER = { name: 'Ingot', email: '', url: '' }
/** Lists that are empty here: images that are there already are built on by the builder `nova`. */
const EMPTY = ['jeos', 'jeos/images'] as const
/** What Image Factory has routes for, and no more. */
const NOT_THERE = [
  'jeos/images/:id',
  'targets',
  'targets/:id',
  'targets/:id/providers',
  'targets/:id/providers/:provider_id',
] as const

/** What Image Factory tells of itself: its version, plugins, and things that it never had. */
export function addImageFactoryInfo(
  app: FastifyInstance,
  { factory, config }: Service,
  door: ImageFactoryDoor,
): void {
  for (const path of [ROOT, `${ROOT}/`])
    app.get(
      path,
      { schema: { summary: 'the version of Image Factory’s API' } },
      async (request, reply) => {
        checkAccept(request)
        return sendJson(reply, 200, VERSION)
      },
    )

  for (const path of [`${ROOT}/plugins`, `${ROOT}/plugins/`])
    app.get(
      path,
      { schema: { summary: 'OS builders and cloud targets (Image Factory)' } },
      door.allowed('factory_get', async ({ request, reply }) => {
        checkAccept(request)
        const url = `${baseUrlOf(config, request)}${ROOT}/plugins`
        return sendJson(reply, 200, { plugins: factory.parts().map((part) => toInfo(part, url)) })
      }),
    )

  app.get(
    `${ROOT}/plugins/:plugin_id`,
    { schema: { summary: 'an OS builder or a cloud target (Image Factory)' } },
    door.allowed('factory_get', async ({ request, reply }) => {
      checkAccept(request)
      const { plugin_id: id = '' } = request.params as { plugin_id?: string }
      const part = factory.parts().find((one) => idOf(one) === id)
      if (part === undefined) throw new Failure('NOT_SERVED', `No plugin found with id: ${id}`)
      return sendJson(reply, 200, toInfo(part, `${baseUrlOf(config, request)}${ROOT}/plugins`))
    }),
  )

  for (const path of EMPTY)
    app.get(
      `${ROOT}/${path}`,
      { schema: { summary: 'nothing: there are no such images (Image Factory)' } },
      async (request, reply) => {
        checkAccept(request)
        return sendJson(reply, 200, { [path.replace('/', '_')]: [] })
      },
    )

  for (const path of NOT_THERE)
    app.get(
      `${ROOT}/${path}`,
      { schema: { summary: 'not there, as in Image Factory: 501' } },
      async (request, reply) => answerNotThere(request, reply),
    )
}

function answerNotThere(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  checkAccept(request)
  const title = 'Not Implemented'
  const message = 'Image Factory never had this; /imagefactory/plugins lists targets.'
  return sendJson(reply, 501, { message, code: `501 ${title}`, title })
}

/** Both kinds of parts may have one name. */
function idOf({ type, name }: PartInfo): string {
  return `${type}-${name}`
}

/** As the files of its plugins tell it. A builder says by template whether it can build, not by names of systems. */
function toInfo(part: PartInfo, url: string) {
  const { type, name, aliases, summary } = part
  const targets = type === 'os' ? [[null, null, null]] : [name, ...aliases].map((word) => [word])
  const id = idOf(part)
  const about = { maintainer: MAINTAINER, version: '1.0', license: 'Apache-2.0' }
  return {
    type,
    targets,
    description: summary,
    ...about,
    _type: 'plugin',
    id,
    href: `${url}/${id}`,
  }
}
