import { Failure } from '../../base/failure.ts'
import type { Report } from '../../recipes/report.ts'
import { addHostOptions, type HostFlags, namesHosts, runHosts } from '../_hosts.ts'
import { addImageOptions, type ImageFlags, toImageRunOptions } from '../_image-options.ts'
import { addRecipeOptions, readRecipeInput } from '../_recipe-options.ts'
import { exitCodeOf, formatReport } from '../_report.ts'
import type { CommandModule } from '../cli.ts'

type ValidateFlags = ImageFlags & HostFlags & { plan?: boolean }

/** `ingot validate RECIPE`: checks an image or hosts, changes nothing, and tells every difference. */
export const define: CommandModule['define'] = async (command, argv, openCli) => {
  command
    .usage(
      'RECIPE (--image IMAGE | --ssh [USER@]HOST[:PORT] ... | --local) [options] [arguments of the recipe]',
    )
    .argument('<recipe>', 'the recipe, a YAML file')
    .option('--image <file>', 'the image file to check')
  addImageOptions(command)
  addHostOptions(command)
  command
    .option('--plan', 'say what would be checked, and do nothing')
    .option('--report <file>', 'write the report to a file, .json or .xml (JUnit)')
    .addHelpText(
      'after',
      '\nAn image is read without running anything of it where that can answer everything; then no root and no appliance is needed.\nExit code 0: all is as the recipe says; 4: something differs.',
    )
  await addRecipeOptions(command, argv)
  command.action(async (file: string, flags: ValidateFlags) => {
    const cli = openCli(command)
    const { recipe, values } = await readRecipeInput(file, command)
    if (flags.plan) {
      const { printPlan } = await import('../_plan.ts')
      printPlan(recipe, values, 'validate', cli)
      return
    }
    if (namesHosts(flags)) {
      if (flags.image !== undefined)
        throw new Failure('USAGE', 'an image and hosts were named; wanted one or the other')
      await runHosts(recipe, values, flags, 'test-only', cli)
      return
    }
    if (flags.image === undefined)
      throw new Failure('USAGE', 'nothing to validate was named', {
        fix: 'Say --image FILE, --ssh HOST or --local.',
      })
    const { checkImage } = await import('../../recipes/image-run.ts')
    const reports: Report[] = [
      await checkImage(recipe, toImageRunOptions(flags, values, cli), cli.context),
    ]
    if (flags.report !== undefined) {
      const { writeReports } = await import('../../recipes/write-report.ts')
      await writeReports(flags.report, reports)
    }
    for (const report of reports)
      cli.print(cli.json ? JSON.stringify(report) : formatReport(report, cli.terminal))
    cli.exit(exitCodeOf(reports))
  })
}
