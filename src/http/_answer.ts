import type { FastifyReply } from 'fastify'

/** Answers with JSON: text that is JSON already, or a value. */
export function sendJson(reply: FastifyReply, status: number, body: string | object): FastifyReply {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return reply.code(status).header('content-type', 'application/json').send(text)
}

/** Answers that it is done, and that there is nothing to say: 204. */
export function sendNothing(reply: FastifyReply): FastifyReply {
  return reply.code(204).send()
}
