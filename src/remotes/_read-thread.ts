/** The thread that parses images nobody vouches for: calls come in as messages. */
import { parentPort, workerData } from 'node:worker_threads'
import { toSent } from '../base/sent-error.ts'
import { KiB } from '../base/units.ts'
import { cached } from '../bytes/cached.ts'
import { openRanges } from './_range-port.ts'
import { openGuest, type ReadGuest } from './_read-guest.ts'
import type {
  ReadArgs,
  ReadCall,
  ReadName,
  ReadReply,
  ReadResults,
  ReadThreadOptions,
} from './read-image.ts'

const port = parentPort
if (port === null) throw new Error('this module runs in a worker thread')
const options: ReadThreadOptions = workerData
let opened: Promise<ReadGuest> | undefined
const guest = () => (opened ??= openGuest(imageOf(options), options))

/** What the other thread holds is asked for in pieces that are worth a question. */
function imageOf({ path, ranges }: ReadThreadOptions) {
  if (ranges === undefined) return path
  return cached(openRanges(ranges.port, ranges), { pageSize: 128 * KiB, pages: 128 })
}

const calls = {
  open: async () => ({ rootFileSystem: (await guest()).rootFileSystem }),
  stat: async (path: string) => await (await guest()).stat(path),
  list: async (path: string) => await (await guest()).list(path),
  archive: async (file: string) => await (await guest()).archive(file),
  readFile: async (path: string, limit: number) => {
    const content = await (await guest()).readFile(path, limit)
    return content && new Uint8Array(content) // a view would drag all its memory along
  },
}

export type ReadCalls = typeof calls

/** The same, so that the types of a name, its arguments and its result belong together. */
const byName: { [Name in ReadName]: (...args: ReadArgs[Name]) => Promise<ReadResults[Name]> } =
  calls

const answer = async <Name extends ReadName>(call: ReadCall<Name>): Promise<ReadReply> => {
  const { id, name, args } = call
  try {
    return { id, result: await byName[name](...args) }
  } catch (error) {
    return { id, error: toSent(error) }
  }
}

port.on('message', (call: ReadCall) => {
  void answer(call).then((reply) => port.postMessage(reply))
})
