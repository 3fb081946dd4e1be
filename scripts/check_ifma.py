#!/usr/bin/env python3
"""Shows that the AVX-512 IFMA kernel, as the compiler translated it, takes the
same path whatever the numbers are: check_ifma.py PROGRAM ...

Valgrind does not know AVX-512, so the machine code is read instead, with
objdump. A register is *public* or it is not:

- When a function of the kernel is called, the registers that hold addresses and
  lengths are public (ENTRY). The index of a table look-up is not.
- What an instruction makes of public registers and constants alone is public.
- What comes from memory is not, but for a public register that was put into a
  slot of the stack with nothing written to memory in between which might have
  gone to the same slot.
- What comes from a vector or a mask register is not.

Where paths of the program meet, a register is public only if it is so on all of
them. The rule is then:

1. Conditional jumps depend on flags that come from public registers alone.
2. Addresses are made of public registers alone. So there is no table look-up
   by a number's digits, and no gather.
3. Calls and jumps lead to places written in the instruction, and stay in the
   kernel.
4. There is no instruction but those listed here, whose time does not depend on
   what they compute on (no division).

Where a load or store is masked, all lanes' addresses are public by rule 2: the
mask decides what is taken, not what is read.
"""

import re
import subprocess
import sys

KERNEL = "kernel::ifma::vectors::"
# What the library calls, by what of the argument registers is public there;
# with how many sizes of numbers there are.
ENTRY = {
    "multiply": {"rdi", "rsi", "rdx", "rcx"},
    "square": {"rdi", "rsi", "rdx", "rcx"},
    "select": {"rdi", "rsi", "rdx"},
}
SIZES = 3

SAVED = {"rbx", "rbp", "rsp", "r12", "r13", "r14", "r15"}
ARITHMETIC = "add sub and or xor cmp test shl shr sar rol ror bt inc dec neg not imul shld shrd adc sbb rorx andn".split()
MOVES = "mov movabs movzx movsx movsxd".split()
NOTHING = "nop data16 cs endbr64 vzeroupper xchg_ax_ax".split()
VECTOR = re.compile(
    r"v(mov(aps|ups|apd|upd|dqa|dqu|dqa32|dqa64|dqu8|dqu16|dqu32|dqu64|d|q)"
    r"|pmadd52(luq|huq)|alignq|p(add|sub)q|p?(and|andn|or|xor)(q|d|ps|pd)?"
    r"|pternlog[dq]|ps(rl|ll|ra)(q|dq|vq)|pcmp(u|eq|gt|equ|neq|nequ|lt|ltu|le|leu|nlt|nltu|nle|nleu|gtu)*q"
    r"|pbroadcast[qd]|broadcast\w+|pblendm[qd]|pblendd|perm\w+|punpck\w+|shuf\w+|pshuf\w+"
    r"|insert\w+|extract\w+|pinsr[bwdq]|pextr[bwdq]|pmov[sz]x\w+|ptestn?mq|pmovm2q|pmovq2m|pminuq|pmaxuq)"
    r"|k(mov|and|andn|or|xor|xnor|not|unpck|shiftl|shiftr|add)(b|w|d|q|bw|wd|dq)"
)

NAMES = {}
for letter in "abcd":
    for name in (f"r{letter}x", f"e{letter}x", f"{letter}x", f"{letter}l", f"{letter}h"):
        NAMES[name] = f"r{letter}x"
for two in ("si", "di", "bp", "sp"):
    for name in (f"r{two}", f"e{two}", two, f"{two}l"):
        NAMES[name] = f"r{two}"
for number in range(8, 16):
    for end in ("", "d", "w", "b"):
        NAMES[f"r{number}{end}"] = f"r{number}"
PARTIAL = {name for name in NAMES if name[-1] in "lhwb" or name in ("ax", "bx", "cx", "dx", "si", "di", "bp", "sp")}


class Refused(Exception):
    """The code does not follow the rule."""


class State:
    """What is public at one place: registers, flags, slots of the stack."""

    def __init__(self, registers, slots=()):
        self.public = set(registers) | {"rsp"}
        self.slots = set(slots)

    def copy(self):
        return State(self.public, self.slots)

    def meet(self, other):
        """Keeps what is public in both; says whether anything was lost."""
        before = len(self.public) + len(self.slots)
        self.public &= other.public
        self.slots &= other.slots
        return len(self.public) + len(self.slots) < before

    def put(self, register, public):
        (self.public.add if public else self.public.discard)(register)


class Function:
    def __init__(self, name):
        self.name = name
        self.code = []  # (address, mnemonic, operands)

    def index_of(self, address):
        return next((i for i, line in enumerate(self.code) if line[0] == address), None)


def operands_of(text):
    text = re.sub(r"\s*(#|<).*", "", text).strip()
    return [part.strip() for part in re.split(r",(?![^\[]*\])", text)] if text else []


def parse(lines):
    """The kernel's functions, by address."""
    functions, current = {}, None
    for line in lines:
        head = re.match(r"([0-9a-f]+) <(.*)>:$", line)
        if head:
            current = None
            if KERNEL in head[2] and "closure" not in head[2]:
                current = functions[int(head[1], 16)] = Function(head[2].split("::")[-1])
        code = re.match(r"\s*([0-9a-f]+):\s+(.*)$", line)
        if current and code:
            words = [word for word in code[2].split(" ") if word]
            while words and words[0] in ("data16", "cs", "notrack", "bnd"):
                words.pop(0)
            if words:
                current.code.append((int(code[1], 16), words[0], operands_of(" ".join(words[1:]))))
    return functions


def address_of(operand):
    """The registers and the offset of an operand in memory, or nothing."""
    inside = re.search(r"\[(.*)\]", operand)
    if not inside:
        return None
    registers, offset = [], 0
    for sign, term in re.findall(r"([+-]?)([^+-]+)", inside[1]):
        name = term.split("*")[0]
        if re.fullmatch(r"0x[0-9a-f]+|\d+", name):
            offset += int(sign + name, 0)
        else:
            registers.append(name)
    return registers, offset


SIZE = {"BYTE": 1, "WORD": 2, "DWORD": 4, "QWORD": 8, "XMMWORD": 16, "YMMWORD": 32, "ZMMWORD": 64}


class Checker:
    def __init__(self, functions):
        self.functions = functions
        self.entries = {}  # address -> State
        self.todo = []
        self.jumps = self.loads = 0

    def enter(self, address, state):
        """A function is called with this much public."""
        arguments = State(state.public & {"rdi", "rsi", "rdx", "rcx", "r8", "r9"})
        if address not in self.entries:
            self.entries[address] = arguments
        elif not self.entries[address].meet(arguments):
            return
        self.todo.append(address)

    def run(self):
        for address, function in self.functions.items():
            if function.name in ENTRY:
                self.enter(address, State(ENTRY[function.name]))
        while self.todo:
            address = self.todo.pop()
            self.function(self.functions[address], self.entries[address])
        for address, function in self.functions.items():
            if address not in self.entries:
                raise Refused(f"{function.name} at {address:x} is called from nowhere that is checked")

    def function(self, function, entry):
        states, todo = {0: entry.copy()}, [0]
        while todo:
            index = todo.pop()
            state = states[index].copy()
            try:
                following = self.step(function, index, state)
            except Refused as why:
                address, name, operands = function.code[index]
                raise Refused(f"{function.name}: {address:x}: {name} {','.join(operands)}: {why}") from None
            for after in following:
                if after >= len(function.code):
                    raise Refused(f"{function.name} runs over its end")
                if after not in states:
                    states[after] = state.copy()
                elif not states[after].meet(state):
                    continue
                todo.append(after)

    def is_public(self, state, operand):
        """Whether what is read there is public; its address must be."""
        if re.fullmatch(r"-?(0x[0-9a-f]+|\d+)", operand):
            return True
        if operand in NAMES:
            return NAMES[operand] in state.public
        address = self.checked_address(state, operand)
        if address is None:
            return False
        registers, offset = address
        return len(registers) == 1 and operand.startswith("QWORD") and (registers[0], offset) in state.slots

    def checked_address(self, state, operand):
        address = address_of(operand)
        if address:
            self.loads += 1
            for name in address[0]:
                if name != "rip" and NAMES.get(name) not in state.public:
                    raise Refused(f"the address depends on {name}, which is not public")
        return address

    def write(self, state, operand, public):
        """Something is written there."""
        bare = operand.split("{")[0].strip()
        if bare in NAMES:
            register = NAMES[bare]
            state.put(register, public and (bare not in PARTIAL or register in state.public))
            # Slots are named by the register that they were found with.
            state.slots = {slot for slot in state.slots if slot[0] != register}
            if register == "rsp" and not public:
                raise Refused("the stack is moved by something that is not public")
            return
        address = self.checked_address(state, operand)
        if address is None:
            return  # a vector or a mask: never public
        (registers, offset), size = address, SIZE.get(operand.split(" ")[0], 64)
        if registers in (["rsp"], ["rbp"]):
            mine = registers[0]
            state.slots = {
                (base, at) for base, at in state.slots if base == mine and not offset - 8 < at < offset + size
            }
            if public and size == 8:
                state.slots.add((mine, offset))
        else:
            state.slots = set()

    def step(self, function, index, state):
        """Carries out one instruction; gives those that may come next."""
        _, name, operands = function.code[index]
        after = [index + 1]
        if name in NOTHING or name == "xchg" and operands == ["ax", "ax"]:
            return after
        if name == "ret":
            return []
        if name == "jmp" or name == "call":
            if not operands or not re.fullmatch("[0-9a-f]+", operands[0]):
                raise Refused("leads to a place that is computed")
            target = int(operands[0], 16)
            inside = function.index_of(target)
            if name == "jmp" and inside is not None:
                return [inside]
            if target not in self.functions:
                raise Refused("leads out of the kernel")
            self.enter(target, state)
            if name == "jmp":
                return []
            state.public &= SAVED
            state.slots = set()
            return after
        if name.startswith("j"):
            self.jumps += 1
            needed = ["carry"] if name in ("jb", "jae") else ["carry", "zero"] if name in ("ja", "jbe") else ["zero"]
            if not all(flag in state.public for flag in needed):
                raise Refused("the jump depends on what is not public")
            inside = function.index_of(int(operands[0], 16))
            if inside is None:
                raise Refused("a conditional jump leads out of the function")
            return after + [inside]
        if name == "push":
            self.is_public(state, operands[0])
            state.slots = set()
        elif name == "pop":
            self.write(state, operands[0], False)
            state.slots = set()
        elif name == "lea":
            registers = [NAMES.get(register) for register in address_of(operands[1])[0] if register != "rip"]
            self.write(state, operands[0], all(register in state.public for register in registers))
        elif name in MOVES:
            self.write(state, operands[0], self.is_public(state, operands[1]))
        elif name in ("mul", "mulx"):
            sources = ["rax"] + operands if name == "mul" else ["rdx", operands[-1]]
            public = all([self.is_public(state, source) for source in sources])
            for result in ["rax", "rdx"] if name == "mul" else operands[:2]:
                self.write(state, result, public)
            if name == "mul":
                self.flags(state, public)
        elif name in ARITHMETIC:
            self.arithmetic(state, name, operands)
        elif re.match("set|cmov", name):
            sources = operands if name.startswith("cmov") else []
            public = all([self.is_public(state, source) for source in sources])
            self.write(state, operands[0], public and {"carry", "zero"} <= state.public)
        elif VECTOR.fullmatch(name):
            for source in operands[1:]:
                self.is_public(state, source)
            self.write(state, operands[0], False)
        else:
            raise Refused("not among the instructions that this rule knows")
        return after

    def arithmetic(self, state, name, operands):
        public = all([self.is_public(state, operand) for operand in operands])
        if name in ("adc", "sbb"):
            public = public and "carry" in state.public
        if name in ("xor", "sub") and operands[0] == operands[1] and operands[0] in NAMES:
            public = True
        if name not in ("not", "rorx"):
            self.flags(state, public, carry=name not in ("inc", "dec"))
        if name not in ("cmp", "test", "bt"):
            # 32 bits written clear the other 32, so only smaller ones keep any.
            self.write(state, operands[0], public)

    @staticmethod
    def flags(state, public, carry=True):
        state.put("zero", public)
        if carry:
            state.put("carry", public)


def check(program):
    command = ["objdump", "--disassemble", "--demangle", "--no-show-raw-insn", "-Mintel", "--wide", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as objdump:
        functions = parse(objdump.stdout)
    if objdump.returncode != 0:
        raise Refused("objdump cannot read it")
    for name in ENTRY:
        count = sum(function.name == name for function in functions.values())
        if count < SIZES:
            raise Refused(f"has {count} of the kernel's functions '{name}', not {SIZES}")
    multiplications = sum(line[1].startswith("vpmadd52") for f in functions.values() for line in f.code)
    if multiplications < 100:
        raise Refused("does not multiply where the kernel should")
    checker = Checker(functions)
    checker.run()
    instructions = sum(len(function.code) for function in functions.values())
    print(
        f"{program}: {len(functions)} functions of the IFMA kernel with {instructions} instructions "
        "follow the rule: no branch and no address depends on a number"
    )


# Each is refused but the first ones: (name of the function, code, accepted).
SELF_TEST = [
    ("multiply", "mov eax,0x7|lea rcx,[rsi+rax*8]|mov rdx,QWORD PTR [rcx]|dec rax|jne 1|ret", True),
    ("multiply", "mov QWORD PTR [rsp+0x8],rdi|vmovdqu64 ZMMWORD PTR [rsp+0x40],zmm0|mov rax,QWORD PTR [rsp+0x8]|mov rcx,QWORD PTR [rax]|ret", True),
    ("select", "vpbroadcastq zmm0,rcx|vpcmpeqq k1,zmm0,zmm1|vmovdqu64 zmm8{k1},ZMMWORD PTR [rsi]|ret", True),
    ("multiply", "mov rax,QWORD PTR [rsi]|test rax,rax|jne 0|ret", False),
    ("multiply", "mov rax,QWORD PTR [rsi]|mov rdx,QWORD PTR [rdi+rax*8]|ret", False),
    ("multiply", "mov rax,QWORD PTR [rsi]|vpaddq zmm0,zmm0,ZMMWORD PTR [rdi+rax*1]|ret", False),
    ("multiply", "vpgatherqq zmm0{k1},ZMMWORD PTR [rdi+zmm1*8]|ret", False),
    ("multiply", "vmovdqu64 zmm0,ZMMWORD PTR [rdi+zmm1*8]|ret", False),
    ("multiply", "kmovw eax,k1|add eax,eax|jae 0|ret", False),
    ("multiply", "vmovq rax,xmm0|jmp rax|ret", False),
    ("multiply", "mov rax,QWORD PTR [rsi]|div rax|ret", False),
    ("multiply", "call 99|ret", False),
    ("multiply", "mov rax,QWORD PTR [rsi]|mov QWORD PTR [rsp+0x8],rax|mov rcx,QWORD PTR [rsp+0x8]|mov rcx,QWORD PTR [rcx]|ret", False),
    ("multiply", "mov QWORD PTR [rsp+0x8],rdi|vmovdqu64 ZMMWORD PTR [rsp],zmm0|mov rax,QWORD PTR [rsp+0x8]|mov rcx,QWORD PTR [rax]|ret", False),
    ("multiply", "mov QWORD PTR [rsp+0x8],rdi|vmovdqu64 ZMMWORD PTR [rdx],zmm0|mov rax,QWORD PTR [rsp+0x8]|mov rcx,QWORD PTR [rax]|ret", False),
    ("multiply", "cmp rdi,rsi|je 3|mov rcx,QWORD PTR [rsi]|mov rax,QWORD PTR [rcx]|ret", False),
    ("multiply", "mov rax,QWORD PTR [rsi]|cmp rax,rdi|cmovb rsi,rdi|mov rax,QWORD PTR [rsi]|ret", False),
    ("select", "cmp rcx,rdx|jae 0|ret", False),
    ("select", "shl rcx,0x9|vmovdqu64 zmm0,ZMMWORD PTR [rsi+rcx*1]|ret", False),
]


def self_test():
    """A check that refuses nothing has checked nothing."""
    for name, code, accepted in SELF_TEST:
        lines = [f"0 <{KERNEL}{name}>:"] + [f"{i:x}:\t{line}" for i, line in enumerate(code.split("|"))]
        try:
            Checker(parse(lines)).run()
            refused = None
        except Refused as why:
            refused = why
        if (refused is None) != accepted:
            sys.exit(f"check_ifma.py is wrong itself: {code}: {refused or 'accepted'}")


def main():
    self_test()
    if len(sys.argv) < 2:
        sys.exit("usage: check_ifma.py PROGRAM ...   (reads the machine code of compiled programs)")
    for program in sys.argv[1:]:
        try:
            check(program)
        except Refused as why:
            sys.exit(f"{program}: {why}")


main()
