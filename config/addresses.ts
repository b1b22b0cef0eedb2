// What is wrong with an address of PostgreSQL or Redis, told at start and without repeating it: it holds a password.
import Joi from 'joi';
import { parse } from 'pg-connection-string';

const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'no-verify', 'verify-ca', 'verify-full'];

const ENCODING =
  'special characters of user and password are percent-encoded: % is %25, @ is %40, / is %2F, # is %23, : is %3A';

const BEFORE_HOST = /^[^/]+\/\/(?:[^/?#]*@)?/;

const MESSAGES = {
  percent: `{{#label}} has a % that begins no percent-encoded character; ${ENCODING}`,
  invalid: `{{#label}} is no address like scheme://user:password@host:port/database; ${ENCODING}`,
  hosts:
    '{{#label}} names several hosts; it must name one, like the address of a proxy that knows which one is the primary',
  sslmode: `{{#label}} has an unknown sslmode; use one of ${SSL_MODES.join(', ')}`,
  rootCertificate:
    '{{#label}} has sslmode=verify-ca without sslrootcert; name the file of the CA there, or use sslmode=verify-full',
  certificate: '{{#label}} names a certificate or key that cannot be read ({{#code}})',
  number: '{{#label}} ends with a database number, like redis://host:6379/0, or with nothing',
};

/** DATABASE_URL. */
export const databaseUrl = address(['postgres', 'postgresql'], (url) => {
  const mode = url.searchParams.get('sslmode');
  if (mode !== null && !SSL_MODES.includes(mode)) return 'sslmode';
  const rootCertificate = url.searchParams.get('sslrootcert');
  if (mode === 'verify-ca' && rootCertificate === null) return 'rootCertificate';
  return undefined;
});

/** REDIS_URL. */
export const redisUrl = address(['redis', 'rediss'], (url) =>
  /^\/?\d{0,3}$/.test(url.pathname) ? undefined : 'number',
);

function address(schemes: string[], check: (url: URL) => keyof typeof MESSAGES | undefined) {
  const scheme = `{{#label}} must start with ${schemes.map((each) => `${each}://`).join(' or ')}`;
  return Joi.string()
    .custom((value: string, helpers: Joi.CustomHelpers) => {
      if (!schemes.some((each) => value.toLowerCase().startsWith(`${each}://`))) return helpers.error('scheme');
      if (!isPercentEncoded(value)) return helpers.error('percent');
      if (/^[^/?#]*,/.test(value.replace(BEFORE_HOST, ''))) return helpers.error('hosts');
      if (/\s/.test(value) || !URL.canParse(value)) return helpers.error('invalid');
      const wrong = check(new URL(value));
      if (wrong !== undefined) return helpers.error(wrong);
      const code = schemes.includes('postgres') ? unreadable(value) : undefined;
      return code === undefined ? value : helpers.error('certificate', { code });
    })
    .messages({ scheme, ...MESSAGES });
}

function isPercentEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

/** The system's code for a file that the address names and that cannot be read. */
function unreadable(value: string): string | undefined {
  const url = new URL(value);
  if (url.searchParams.get('sslrootcert') === 'system') url.searchParams.delete('sslrootcert');
  url.searchParams.set('sslmode', 'verify-full');
  try {
    parse(url.href);
    return undefined;
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  }
}
