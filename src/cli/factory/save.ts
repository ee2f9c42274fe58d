import { basename } from 'node:path'
import type { Artifact } from '../../api/factory-client.ts'
import { openSparseWriter } from '../../formats/sparse-writer.ts'
import { openStdoutSink } from '../_stdout-sink.ts'
import type { Cli } from '../cli.ts'
import { checkOutput } from '../image/_check-output.ts'
import {
  type DefineFactoryCommand,
  type FactoryFlags,
  subcommand,
  withWatchedFactory,
} from './_scene.ts'

interface SaveFlags extends FactoryFlags {
  readonly output?: string
  readonly force?: boolean
}

const HELP = `
A disk in the format of its target, an OVA, a box, an archive for containers: made while it is sent. Of a base image it is
the raw disk. Every other format of the disk can be had by \`ingot image save\`.`

/** `ingot factory save IMAGE`. */
export const defineSave: DefineFactoryCommand = (factory, openCli) => {
  subcommand(factory, 'save', 'save a factory image as its target wants it')
    .argument(
      '<image>',
      'its id, or its name: the newest target image of it that is COMPLETE, if there is one',
    )
    .option('-o, --output <path>', 'where; - for standard output; left out: as the file is called')
    .option('--force', 'replace the file if there is one')
    .addHelpText('after', HELP)
    .action(async (name: string, { output, force = false, ...flags }: SaveFlags) => {
      await withWatchedFactory(factory, openCli, flags, async ({ client, cli }) => {
        const { id } = await client.find(name, { type: 'target', status: 'COMPLETE' })
        if (output !== undefined && output !== '-') await checkOutput(output, force)
        // What has to be packed before its first byte is known takes minutes.
        cli.context.progress({ kind: 'phase', name: 'save', detail: name })
        const artifact = await client.artifact(id)
        if (output === '-') return await saveToStdout(artifact, cli)
        const path = output ?? basename(artifact.fileName ?? id) // never out of this directory
        if (output === undefined) await checkOutput(path, force)
        const size = await saveToFile(artifact, path, cli)
        if (cli.json) cli.print(JSON.stringify({ id, path, size }))
        else cli.say(`${path}: ${size} bytes`)
      })
    })
}

async function saveToStdout({ stream }: Artifact, { context }: Cli): Promise<void> {
  const sink = openStdoutSink(context.signal)
  for await (const chunk of stream) await sink.write(chunk)
}

/** Whole or not at all; zeros become holes. */
async function saveToFile(
  { stream, length: total }: Artifact,
  path: string,
  { context }: Cli,
): Promise<number> {
  await using file = await openSparseWriter(path)
  let done = 0
  for await (const chunk of stream) {
    await file.write(done, chunk)
    done += chunk.length
    context.progress({ kind: 'bytes', name: 'save', done, ...(total && { total }) })
  }
  await file.finish(done)
  return done
}
