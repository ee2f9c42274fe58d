import { withUploadOf } from '../image/_upload.ts'
import { formatFinal } from './_describe-build.ts'
import { addParameterOptions, type ParameterFlags, readParameters } from './_parameters.ts'
import { type DefineFactoryCommand, type FactoryFlags, subcommand, withFactory } from './_scene.ts'

interface ImportFlags extends FactoryFlags, ParameterFlags {
  readonly name?: string
}

/** `ingot factory import FILE`. */
export const defineImport: DefineFactoryCommand = (factory, openCli) => {
  addParameterOptions(
    subcommand(factory, 'import', 'make a base image of an image file, of any format'),
  )
    .argument('<file>', 'the image; - for standard input')
    .option('--name <name>', 'its name; left out: by the system that is found inside')
    .action(async (path: string, flags: ImportFlags) => {
      await withFactory(factory, openCli, flags, async ({ client, cli }) => {
        const parameters = await readParameters(flags)
        const options = { name: flags.name, parameters }
        const build = await withUploadOf(
          path,
          cli.context,
          async (data) => await client.import(data, options),
        )
        cli.print(cli.json ? JSON.stringify(build) : formatFinal(build))
      })
    })
}
