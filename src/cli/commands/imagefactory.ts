/**
 * `ingot imagefactory`: the command line of Image Factory. Source: `imagefactory.1` and its parser; the differences are
 * listed in docs/imagefactory.md.
 */
import { parseImageFactoryWords } from '../factory/_imagefactory-words.ts'
import { isJson, RUN_SUBCOMMAND } from '../factory/imagefactory.ts'
import { withFactoryOf } from '../factory/_scene.ts'
import type { CommandModule } from '../cli.ts'

const HELP = `
Subcommands:
  base_image TEMPLATE                                      build a base image
  target_image TARGET (--id BASE | --template TDL)         make it fit for a kind of cloud
  provider_image TARGET PROVIDER CREDENTIALS_FILE
                 (--id TARGET_IMAGE | --template TDL) [--snapshot]
                                                           push it; PROVIDER is a file, or a name after @
  import_base_image IMAGE_FILE                             make a base image of an image file
  images FETCH_SPEC                                        images that have the fields of a JSON object
  delete ID [--provider P] [--credentials FILE]            delete an image
  plugins [--id NAME]                                      OS builders and cloud targets
Flags of all that build:
  --parameters FILE            a JSON object of parameters
  --parameter NAME VALUE       one of them; may be said again
  --file-parameter NAME FILE   one whose value is the text of a file; may be said again
  --timeout SECONDS            how long a stage may take
  --output log|json            how the image is printed when it has ended
Accepted and of no effect: --debug --nodebug --raw --imgdir --tmpdir --plugins --ec2-32bit-util --ec2-64bit-util
Beside them: --data-dir DIR, or --endpoint URL with --token-file FILE. \`ingot factory\` does the same in Ingot's own words.`

export const define: CommandModule['define'] = (command, argv, openCli) => {
  command
    .usage('[flags] SUBCOMMAND …')
    .argument('[words...]')
    .allowUnknownOption()
    .allowExcessArguments()
    .addHelpText('after', HELP)
    .action(async () => {
      const words = parseImageFactoryWords(argv)
      const { values } = words
      const [dataDir, endpoint, tokenFile] = ['data-dir', 'endpoint', 'token-file'].map((name) =>
        values.get(name),
      )
      const cli = { ...openCli(command, { data_dir: dataDir }), json: isJson(words) }
      const flags = {
        ...(endpoint !== undefined && { endpoint }),
        ...(tokenFile !== undefined && { tokenFile }),
      }
      await withFactoryOf(cli, flags, (scene) => RUN_SUBCOMMAND[words.subcommand](scene, words))
    })
}
