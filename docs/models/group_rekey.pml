/* The life of the group (docs/protocol.md, section 11) with three patients, who
   join, leave, expire or are revoked at any time. A rekey may be delayed as long
   as it likes; a broadcast while the group is dirty forces it.

   Claim, at each broadcast: exactly the members hold the key of the epoch it is
   sealed under.

     spin -a group_rekey.pml && gcc -O2 -DSAFETY -o pan pan.c && ./pan -m100000
       -> errors: 0
     spin -DLAZYBUG -a group_rekey.pml && gcc -O2 -DSAFETY -o pan pan.c && ./pan -m100000
       -> assertion violated: the broadcast went out under the old epoch while dirty */
#define N 3

bool member[N];
bool dirty = true;
byte epoch = 0;
bool holds[21];		/* holds[epoch * N + i]: patient i was sent this epoch's key */
byte i;
byte who;

inline rekey() {
	epoch++;
	i = 0;
	do
	:: (i < N) -> holds[epoch * N + i] = member[i]; i++
	:: (i >= N) -> break
	od;
	dirty = false
}

inline broadcast() {
	i = 0;
	do
	:: (i < N) -> assert(member[i] == holds[epoch * N + i]); i++
	:: (i >= N) -> break
	od
}

active proctype Doctor() {
	byte steps = 0;
	do
	:: (steps < 10 && epoch < 6) -> steps++;
		if
		:: select(who : 0 .. 2); member[who] = !member[who]; dirty = true
		:: dirty -> rekey()
		:: true ->
#ifdef LAZYBUG
			if :: (epoch == 0) -> rekey() :: (epoch > 0) -> skip fi;
#else
			if :: dirty -> rekey() :: (!dirty) -> skip fi;
#endif
			broadcast()
		fi
	:: (steps >= 10 || epoch >= 6) -> break
	od
}
