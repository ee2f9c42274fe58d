import type { Command } from 'commander'
import type { ImageClient } from '../../api/client.ts'
import { addServiceOptions, openImageService, type ServiceFlags } from '../_image-service.ts'
import type { Cli, OpenCli } from '../cli.ts'

/** Adds one subcommand of `ingot image`. */
export type DefineImageCommand = (image: Command, openCli: OpenCli) => void

/** A subcommand with what all of them have: the flags that name the service. */
export function subcommand(image: Command, name: string, summary: string): Command {
  return addServiceOptions(image.command(name).description(summary).exitOverride())
}

/** Opens the service that the flags name, for as long as `work` takes. */
export async function withService(
  image: Command,
  openCli: OpenCli,
  flags: ServiceFlags,
  work: (client: ImageClient, cli: Cli) => Promise<void>,
): Promise<void> {
  const cli = openCli(image, { data_dir: flags.dataDir })
  await using client = await openImageService(flags, cli)
  await work(client, cli)
}

/** For options that may be repeated. */
export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value]
}
