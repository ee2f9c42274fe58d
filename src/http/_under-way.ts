import type { ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'

/** The requests that are being answered. When the server closes, their connections end with the answers. */
export class UnderWay {
  readonly #responses = new Set<ServerResponse>()

  /** To be made before routes are added. */
  constructor(app: FastifyInstance) {
    let isClosing = false
    app.addHook('onRequest', (_request, { raw }, done) => {
      this.#responses.add(raw)
      raw.once('close', () => {
        this.#responses.delete(raw)
        if (isClosing) setImmediate(() => app.server.closeIdleConnections())
      })
      done()
    })
    app.addHook('preClose', (done) => {
      isClosing = true
      for (const response of this.#responses)
        if (!response.headersSent) response.setHeader('connection', 'close')
      done()
    })
  }

  get count(): number {
    return this.#responses.size
  }
}
