// Reads along on one PostgreSQL connection (protocol 3.0, no TLS) and finds the answers that tell a client "it is committed": to COMMIT
// inside a transaction, and to a writing statement outside of one. Such an answer can be lost: the transaction is done, its caller
// does not know. Pure: bytes in, bytes out.

/** What has to go on to the client, and whether the connection is to be cut behind it because an answer was lost. */
export interface Passed {
  forward: Buffer;
  isAnswerLost: boolean;
}

export interface CommitWatch {
  /** Bytes on their way to the server; they are only looked at. */
  fromClient(chunk: Buffer): void;
  /** Bytes on their way to the client. */
  fromServer(chunk: Buffer): Passed;
}

/** What stands between two ReadyForQuery. */
interface Cycle {
  statements: string[];
}

const NOTHING = Buffer.alloc(0);
const TLS_REQUEST = 80_877_103;
const GSS_REQUEST = 80_877_104;

const isCommit = (sql: string) => /^\s*(COMMIT|END)\b/i.test(sql);
const opensTransaction = (sql: string) => /^\s*(BEGIN|START\s+TRANSACTION)\b/i.test(sql);
const writes = (sql: string) =>
  /\b(INSERT\s+INTO|UPDATE|DELETE\s+FROM|MERGE\s+INTO)\b/i.test(sql.replaceAll(/\bFOR\s+(NO\s+KEY\s+)?UPDATE\b/gi, ''));

/** @param shouldLose asked once for each such answer, before it arrives */
export function createCommitWatch(shouldLose: () => boolean): CommitWatch {
  const requests = createRequestReader();
  let rest: Buffer = NOTHING;
  let status = '';
  /** Decided when the first byte of the answer is there: only then the state of the transaction before it is known. */
  let losing: boolean | undefined;
  let hasFailed = false;
  let held: Buffer[] = [];

  function passFrame(type: string, frame: Buffer): Buffer {
    // The first ReadyForQuery ends the login and answers no request.
    if (status === '') {
      if (type === 'Z') status = statusOf(frame);
      return frame;
    }
    losing ??= commits(requests.cycles[0], status) && shouldLose();
    if (losing) held.push(frame);
    if (type === 'E') hasFailed = true;
    if (type !== 'Z') return losing ? NOTHING : frame;
    requests.cycles.shift();
    status = statusOf(frame);
    return losing ? NOTHING : frame;
  }

  return {
    fromClient: requests.read,
    fromServer(chunk) {
      rest = Buffer.concat([rest, chunk]);
      const forward: Buffer[] = [];
      if (requests.takeTlsAnswer(rest.length)) {
        forward.push(rest.subarray(0, 1));
        rest = rest.subarray(1);
      }
      for (let length = frameLength(rest); length !== undefined; length = frameLength(rest)) {
        const type = String.fromCharCode(rest[0] ?? 0);
        const frame = rest.subarray(0, length);
        rest = rest.subarray(length);
        const wasLoggedIn = status !== '';
        forward.push(passFrame(type, frame));
        if (type !== 'Z' || !wasLoggedIn) continue;
        if (losing && !hasFailed) return { forward: Buffer.concat(forward), isAnswerLost: true };
        forward.push(...held);
        held = [];
        losing = undefined;
        hasFailed = false;
      }
      return { forward: Buffer.concat(forward), isAnswerLost: false };
    },
  };
}

function commits(cycle: Cycle | undefined, status: string): boolean {
  if (cycle === undefined) return false;
  if (status === 'T') return cycle.statements.some(isCommit);
  return status === 'I' && cycle.statements.some(writes) && !cycle.statements.some(opensTransaction);
}

/** Follows what a client asks for; a prepared statement that is bound by its name only is looked up. */
function createRequestReader() {
  let rest: Buffer = NOTHING;
  let isStarted = false;
  let tlsAnswers = 0;
  let cycle: Cycle = { statements: [] };
  const prepared = new Map<string, string>();
  const cycles: Cycle[] = [];

  function readFrame(type: string, body: Buffer) {
    if (type === 'P') {
      const [name, afterName] = readText(body, 0);
      prepared.set(name, readText(body, afterName)[0]);
    } else if (type === 'B') {
      const [, afterPortal] = readText(body, 0);
      cycle.statements.push(prepared.get(readText(body, afterPortal)[0]) ?? '');
    } else if (type === 'Q') {
      cycle.statements.push(readText(body, 0)[0]);
    }
    if (type !== 'Q' && type !== 'S') return;
    cycles.push(cycle);
    cycle = { statements: [] };
  }

  /** Messages before the login have no type: a wish for encryption, which is answered with one byte, or the login itself. */
  function readStart(): boolean {
    if (rest.length < 8 || rest.length < rest.readInt32BE(0)) return false;
    const code = rest.readInt32BE(4);
    if (code === TLS_REQUEST || code === GSS_REQUEST) tlsAnswers += 1;
    else isStarted = true;
    rest = rest.subarray(rest.readInt32BE(0));
    return true;
  }

  return {
    /** Those that are not answered yet, oldest first. */
    cycles,
    takeTlsAnswer(available: number): boolean {
      if (tlsAnswers === 0 || available === 0) return false;
      tlsAnswers -= 1;
      return true;
    },
    read(chunk: Buffer) {
      rest = Buffer.concat([rest, chunk]);
      while (!isStarted) if (!readStart()) return;
      for (let length = frameLength(rest); length !== undefined; length = frameLength(rest)) {
        readFrame(String.fromCharCode(rest[0] ?? 0), rest.subarray(5, length));
        rest = rest.subarray(length);
      }
    },
  };
}

/** Of the frame at the beginning of `bytes`, its type included; undefined while it is not complete. */
function frameLength(bytes: Buffer): number | undefined {
  if (bytes.length < 5) return undefined;
  const length = 1 + bytes.readInt32BE(1);
  return bytes.length < length ? undefined : length;
}

/** A zero-terminated text, and where what follows it begins. */
function readText(body: Buffer, start: number): [text: string, next: number] {
  const end = body.indexOf(0, start);
  return [body.toString('utf8', start, end), end + 1];
}

function statusOf(readyForQuery: Buffer): string {
  return String.fromCharCode(readyForQuery[5] ?? 0);
}
