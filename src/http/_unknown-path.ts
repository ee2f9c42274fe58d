import type { FastifyInstance } from 'fastify'
import type { Service } from '../app/service.ts'
import { Failure } from '../base/failure.ts'
import { sendJson } from './_answer.ts'
import { versionsOf } from './_versions.ts'

/** A path with its parameters, as a pattern, and the methods that are there. */
interface Known {
  readonly pattern: RegExp
  readonly methods: Set<string>
}

/**
 * Answers what no route answers: 405 where there are other methods, 404 below `/v2`, `/ingot` and `/imagefactory`,
 * and the list of versions everywhere else. To be called before routes are added.
 */
export function answerUnknown(app: FastifyInstance, { config }: Service): void {
  const known = new Map<string, Known>()
  app.addHook('onRoute', ({ url, method }) => {
    const route = known.get(url) ?? { pattern: toPattern(url), methods: new Set() }
    known.set(url, route)
    for (const one of [method].flat()) route.methods.add(one)
  })
  app.setNotFoundHandler((request, reply) => {
    const { method } = request
    const path = request.url.split('?', 1)[0] ?? ''
    const allowed = [...known.values()]
      .filter(({ pattern }) => pattern.test(path))
      .flatMap(({ methods }) => [...methods])
    if (allowed.length > 0) {
      const allow = [...new Set(allowed)].sort().join(', ')
      throw new Failure('METHOD_NOT_ALLOWED', `there is no ${method} at ${path}`, {
        details: { allow },
        fix: `There is ${allow}.`,
      })
    }
    if (/^\/(v2|ingot|imagefactory)(\/|$)/.test(path))
      throw new Failure('NOT_SERVED', `there is nothing at ${path}`)
    return sendJson(reply, 300, versionsOf(config, request))
  })
}

function toPattern(url: string): RegExp {
  const literal = url.replaceAll(/[.*+?^${}()|[\]\\]/g, (char) => `\\${char}`)
  return new RegExp(`^${literal.replaceAll(/:\w+/g, '[^/]+')}$`)
}
