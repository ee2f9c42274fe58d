import { readRecipeInput, addRecipeOptions } from '../_recipe-options.ts'
import { exitCodeOf, formatReport } from '../_report.ts'
import { addImageOptions, type ImageFlags, toImageRunOptions } from '../_image-options.ts'
import type { Remote } from '../../remotes/remote.ts'
import type { CommandModule } from '../cli.ts'

interface PackFlags extends ImageFlags {
  testOnly?: boolean
  inPlace?: boolean
  clean?: boolean
  report?: string
  plan?: boolean
}

/** `ingot pack RECIPE --image IMAGE`: changes an image file offline, entirely or not at all. */
export const define: CommandModule['define'] = async (command, argv, openCli) => {
  command
    .usage('RECIPE --image IMAGE [options] [arguments of the recipe]')
    .argument('<recipe>', 'the recipe, a YAML file')
    .requiredOption('--image <file>', 'the image file to change')
  addImageOptions(command)
  command
    .option('--test-only', 'check only; the image is not touched')
    .option(
      '--in-place',
      'work on the image itself, not on a copy: needs no room, but a failed run leaves it half changed',
    )
    .option(
      '--clean',
      'at the end remove what must not be shared between machines (host keys, machine id, logs, caches)',
    )
    .option('--plan', 'say what would be done, and do nothing')
    .option('--report <file>', 'write the report to a file, .json or .xml (JUnit)')
    .addHelpText(
      'after',
      '\nThe image is replaced only when everything has succeeded; a run that fails or is killed leaves it byte for byte as it was.',
    )
  await addRecipeOptions(command, argv)
  command.action(async (file: string, flags: PackFlags) => {
    const cli = openCli(command)
    const { recipe, values } = await readRecipeInput(file, command)
    const options = toImageRunOptions(flags, values, cli)
    if (flags.plan) {
      const { printPlan } = await import('../_plan.ts')
      printPlan(recipe, values, flags.testOnly ? 'validate' : 'pack', cli)
      return
    }
    const { checkImage, packImage } = await import('../../recipes/image-run.ts')
    const { cleanAndLint } = await import('../../guests/clean.ts')
    const report = flags.testOnly
      ? await checkImage(recipe, options, cli.context)
      : await packImage(
          recipe,
          {
            ...options,
            inPlace: flags.inPlace ?? false,
            ...(flags.clean
              ? {
                  beforeFinish: async (remote: Remote) => {
                    const { tasks } = await cleanAndLint(remote, recipe.clean ?? {}, cli.context)
                    return tasks.some(({ paths }) => paths.length > 0)
                  },
                }
              : {}),
          },
          cli.context,
        )
    if (flags.report !== undefined) {
      const { writeReports } = await import('../../recipes/write-report.ts')
      await writeReports(flags.report, [report])
    }
    cli.print(cli.json ? JSON.stringify(report) : formatReport(report, cli.terminal))
    cli.exit(exitCodeOf([report]))
  })
}
