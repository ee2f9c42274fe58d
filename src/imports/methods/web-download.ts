import { Failure, messageOf } from '../../base/failure.ts'
import { openDownload } from '../../bytes/download.ts'
import { Type } from '../../schema/type.ts'
import type { ImportMethod } from '../method.ts'
import { parseChecksum } from '../parse-checksum.ts'
import { parseWebAddress } from '../web-rules.ts'

interface Parameters {
  readonly uri: string
  readonly checksum?: unknown
}

/**
 * Data from the web, at an address that the user gives. Only what the rules allow is asked for, at every
 * redirect and for every number that a name leads to. Ingot's own: a `checksum` that the content must have.
 */
export const webDownload: ImportMethod<Parameters> = {
  name: 'web-download',
  summary: 'data from an address of the web',
  options: Type.Object({
    uri: Type.String({ maxLength: 8192, description: 'http:// or https://' }),
    checksum: Type.Optional(
      Type.Unsafe<unknown>({
        description: 'of the content as it comes: "sha256:…", or { algorithm, value }',
      }),
    ),
  }),
  from: 'queued',
  check: async ({ parameters: { uri, checksum } }, { web }) => {
    parseChecksum(checksum)
    try {
      parseWebAddress(uri, web.rules)
    } catch (cause) {
      const reason = messageOf(cause)
      throw new Failure(
        'REQUEST_INVALID',
        `URI for web-download does not pass filtering: ${reason}`, // Source: Glance's words
        { cause },
      )
    }
    return undefined
  },
  open: async ({ parameters: { uri, checksum } }, { web }, context) => {
    const { size, stream, cancel } = await openDownload(uri, web, context)
    return {
      kind: 'arriving',
      stream,
      size,
      expected: parseChecksum(checksum),
      [Symbol.asyncDispose]: async () => cancel(),
    }
  },
}
