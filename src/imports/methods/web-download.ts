import { Failure } from '../../base/failure.ts'
import { type DownloadOptions, openDownload } from '../../bytes/download.ts'
import type { WebRules } from '../../bytes/web-request.ts'
import { Type } from '../../schema/type.ts'
import type { ImportMethod } from '../method.ts'
import { parseChecksum } from '../parse-checksum.ts'
import { parseWebAddress } from '../web-rules.ts'

export interface WebDownloadParts extends Omit<DownloadOptions, 'rules' | 'headers'> {
  readonly rules: WebRules
}

interface Parameters {
  readonly uri: string
  readonly checksum?: unknown
}

/**
 * Data from the web, at an address that the user gives. Only what the rules allow is asked for, at every
 * redirect and for every number that a name leads to. Ingot's own: a `checksum` that the content must have.
 */
export function webDownload({ rules, ...download }: WebDownloadParts): ImportMethod<Parameters> {
  return {
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
    check: async ({ uri, checksum }) => {
      parseChecksum(checksum)
      try {
        parseWebAddress(uri, rules)
      } catch (cause) {
        // Source: Glance's words, which its tests look for.
        throw new Failure(
          'REQUEST_INVALID',
          `URI for web-download does not pass filtering: ${cause instanceof Error ? cause.message : ''}`,
          { cause },
        )
      }
      return undefined
    },
    open: async ({ parameters }, context) => {
      const { size, stream, cancel } = await openDownload(
        parameters.uri,
        { rules, ...download },
        context,
      )
      return {
        kind: 'arriving',
        stream,
        size,
        expected: parseChecksum(parameters.checksum),
        [Symbol.asyncDispose]: async () => cancel(),
      }
    },
  }
}
